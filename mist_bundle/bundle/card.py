"""The model card of a bundle, docs/README.md: data, plan, results, commands and limits."""

from __future__ import annotations

from collections.abc import Sequence

from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Problem
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.table import decision_rows, markdown_table

RESULTS_START = "<!-- results: begin -->"
RESULTS_END = "<!-- results: end -->"
NO_RESULTS = "Not trained yet."


def model_card(plan: Plan, spec: DatasetSpec, name: str, excluded: Sequence[Problem]) -> str:
    """Markdown text of the card of a bundle that is not trained yet."""
    classes = "\n".join(
        f"| {final} | {', '.join(str(label) for label in labels)} |" for final, labels in plan.final_classes.items()
    )
    left_out = "\n".join(f"- {problem}" for problem in excluded) or "None."
    return f"""# {name}

{spec.description or f"Segmentation of {', '.join(plan.label_names[1:])}."}

A MONAI bundle made by mist_bundle from {plan.num_cases} cases with {len(plan.channel_names)} image channel(s)
({", ".join(plan.channel_names)}; modality {plan.modality}).

## Data

- Source: {spec.reference or "not stated"}
- Licence: {spec.licence or "not stated"} (see data_license.txt)
- Labels: {", ".join(f"{value} {text}" for value, text in zip(plan.labels, plan.label_names, strict=True))}

| class that is scored | labels |
|---|---|
{classes}

Cases left out:

{left_out}

## What was decided, and why

{markdown_table(decision_rows(plan))}

## Results

{RESULTS_START}
{NO_RESULTS}
{RESULTS_END}

## Commands

From any working directory, with `B` the path of this folder:

```bash
python -m monai.bundle run preprocess --config_file B/configs/preprocess.json --dataset_dir CASES
python -m monai.bundle run training   --config_file B/configs/train.json --dataset_dir CASES --fold 0
python -m monai.bundle run evaluating --config_file "['B/configs/train.json','B/configs/evaluate.json']" --fold 0
python -m monai.bundle run inference  --config_file B/configs/inference.json --datalist LIST.json --output_dir OUT
torchrun --standalone --nproc_per_node 2 -m monai.bundle run training \\
    --config_file "['B/configs/train.json','B/configs/multi_gpu_train.json']"
```

## Limits

Research only: not a medical device, not for diagnosis or treatment. Nothing is known about images unlike those it was
trained on (other scanners, protocols, populations or diseases).

## Citation

Celaya et al., "MIST: A Simple and Scalable End-To-End 3D Medical Imaging Segmentation Framework", arXiv 2407.21343.
"""
