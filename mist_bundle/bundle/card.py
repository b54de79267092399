"""The model card of a bundle, docs/README.md: data, plan, results, commands and limits."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from mist_bundle.bundle.configs.metadata import TESTED, packages
from mist_bundle.dataset.fold_table import FoldTable
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Problem
from mist_bundle.files import SOURCE_LICENSE
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.table import decision_rows, markdown_table
from mist_bundle.runtime.folds.publish_weights import RESULTS_END, RESULTS_START
from mist_bundle.runtime.folds.training_record import NO_RECORD, TRAINING_END, TRAINING_START
from mist_bundle.runtime.wording import join_with_and

NO_RESULTS = "Not trained yet."
MODALITY_TAGS = {"ct": "ct", "mr": "mri", "other": "other-modality"}
_FIXED = """## Limits

Research only: not a medical device, not for diagnosis or treatment. Nothing is known about images unlike those it was
trained on (other scanners, protocols, populations or diseases). Check it on images of your own before you use it.

## Licences

The code and the configurations are under the Apache License 2.0 (LICENSE). The data are under the licence named above
(docs/data_license.txt); whoever passes the weights on has to clear whether it extends to weights trained on these data.

## Citation

Celaya et al., "MIST: A Simple and Scalable End-To-End 3D Medical Imaging Segmentation Framework", arXiv 2407.21343.
"""


def model_card(
    plan: Plan, spec: DatasetSpec, name: str, excluded: Sequence[Problem], folds: FoldTable | None = None
) -> str:
    """Return the Markdown text of the card of a bundle before training, with the header that Hugging Face reads."""
    decisions = f"## Decisions and their reasons\n\n{markdown_table(decision_rows(plan))}\n"
    return "\n".join([_about(plan, spec, name), _data(plan, spec, excluded, folds), _commands(plan), decisions, _FIXED])


def _about(plan: Plan, spec: DatasetSpec, name: str) -> str:
    return f"""---
{yaml.safe_dump(hub_header(plan), sort_keys=False, allow_unicode=True).strip()}
---

# {name}

{spec.description or f"Segmentation of {', '.join(plan.label_names[1:])}."}

A [MONAI bundle](https://monai.readthedocs.io/en/stable/mb_specification.html) for images of the modality
{plan.modality.upper()}, {_maker(plan)}.

| | |
|---|---|
| input | {_channels(plan)} |
| output | a label map on the grid of the image: {_labels(plan)} |
| network | {plan.network.value}, on patches of {_patch(plan)} |
| framework | MONAI {TESTED["monai"]}, PyTorch {TESTED["torch"]} |
"""


def _maker(plan: Plan) -> str:
    """Who trained or configured it, and from what."""
    origin = plan.origin
    if origin is None:
        return f"configured by mist-bundle from {plan.num_cases} labelled cases"
    trained = f"trained by {origin['program']} ({origin['trainer']}, {origin['configuration']})"
    cases = f" on {plan.num_cases} labelled cases" if plan.num_cases else ""
    return f"{trained}{cases} and imported by mist-bundle from {origin['results']}"


def _data(plan: Plan, spec: DatasetSpec, excluded: Sequence[Problem], folds: FoldTable | None) -> str:
    return f"""## Data

- Source: {spec.reference or "not stated"}
- Licence: {spec.licence or "not stated"}
- Labels: {_labels(plan)}{_origin(plan)}
{_partly_annotated(plan)}{_sides(plan)}- Folds: {plan.num_folds}, listed in configs/datalist.json

| scored class | labels |
|---|---|
{_final_classes(plan)}
{_folds(folds)}
Cases left out:

{_bullets(map(str, excluded))}

Warnings:

{_bullets(f"{place}: {sentence}" for place, sentence in plan.warnings or ())}

## Results

{RESULTS_START}
{NO_RESULTS if plan.origin is None else f"Trained by {plan.origin['program']}; not evaluated here yet."}
{RESULTS_END}

## Training

{TRAINING_START}
{NO_RECORD}
{TRAINING_END}
"""


def _sides(plan: Plan) -> str:
    lines = []
    for pair in (plan.sides or {}).values():
        lines.append(f"- Sides: {pair['sentence']}\n")
    return "".join(lines)


def _partly_annotated(plan: Plan) -> str:
    if not plan.unlabelled:
        return ""
    names = dict(zip(plan.labels, plan.label_names, strict=True))
    sets = [join_with_and(names[label] for label in labels) for labels in plan.unlabelled]
    return (
        f"- Partly annotated: some cases without {', some without '.join(sets)}; where a class was not annotated, its "
        "voxels count as background or that class, and it is not scored\n"
    )


def _folds(folds: FoldTable | None) -> str:
    if folds is None:
        return ""
    about = "What each fold holds (of a class: the cases with it, and its median volume in these):"
    return f"\n{about}\n\n{folds.markdown()}\n"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "None."


def _commands(plan: Plan) -> str:
    return f"""## Commands

From any working directory, with `B` the path of this folder and `CASES` the folder of the cases:

```bash
{install_command(plan)}
python -m monai.bundle run preprocess --config_file B/configs/preprocess.json --dataset_dir CASES
python -m monai.bundle run training   --config_file B/configs/train.json --dataset_dir CASES --fold 0
python -m monai.bundle run evaluating --config_file "['B/configs/train.json','B/configs/evaluate.json']" --fold 0
python -m monai.bundle run inference  --config_file B/configs/inference.json --dataset_dir CASES \\
    --datalist LIST.json --output_dir OUT
torchrun --standalone --nproc_per_node 2 -m monai.bundle run training \\
    --config_file "['B/configs/train.json','B/configs/multi_gpu_train.json']"
```

`LIST.json` is `{{"testing": [{{"id": "a", "image": [{_files(plan)}]}}]}}`,
with a file for each channel, in the order above.
"""


def hub_header(plan: Plan) -> dict[str, Any]:
    """Return the header of the card, by which Hugging Face finds, filters and labels repositories."""
    return {
        "license": "apache-2.0",
        "library_name": "monai",
        "pipeline_tag": "image-segmentation",
        "tags": ["monai", "medical", "medical-imaging", "3d", "segmentation", MODALITY_TAGS[plan.modality]],
    }


def install_command(plan: Plan) -> str:
    """Return the command that installs the versions with which the bundle was tested."""
    command = "pip install"
    for package, version in packages(plan).items():
        command += f" {package}=={version}"
    return " \\\n    ".join(textwrap.wrap(command, 110, break_on_hyphens=False))


def _channels(plan: Plan) -> str:
    if plan.num_channels == 1:
        return f"a NIfTI image ({plan.channel_names[0]})"
    return f"{plan.num_channels} NIfTI images of a case, in this order: {', '.join(plan.channel_names)}"


def _labels(plan: Plan) -> str:
    return ", ".join(f"{value} {text}" for value, text in zip(plan.labels, plan.label_names, strict=True))


def _origin(plan: Plan) -> str:
    if plan.initial_weights is None:
        return ""
    source = plan.initial_weights.value
    return f"\n- Training began from the weights of {source}; the licence of its data: {SOURCE_LICENSE}"


def _final_classes(plan: Plan) -> str:
    rows = []
    for name, labels in plan.final_classes.items():
        rows.append(f"| {name} | {', '.join(map(str, labels))} |")
    return "\n".join(rows)


def _patch(plan: Plan) -> str:
    return f"{_times(plan.patch_size.value)} voxels of {_times(plan.target_spacing_mm.value)} mm"


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _files(plan: Plan) -> str:
    return ", ".join(f'"a_{channel}.nii.gz"' for channel in plan.channel_names)
