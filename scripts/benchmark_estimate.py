"""The memory model against measured peaks, on this machine's CPU: a table in docs/scaling.md.

Each row is a bundle whose training steps are run in a process of its own; its peak is compared with what the plan's
closed form says. Rows that were measured before are kept (docs/estimate.json); --again measures them anew.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from mist_bundle import pipeline
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.files import write_json
from mist_bundle.pipeline.cost_estimate import time_steps
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.memory import plan_memory
from mist_bundle.planning.options import PlanOptions

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs/estimate.json"
PAGE = ROOT / "docs/scaling.md"
BEGIN, END = "<!-- memory model: begin -->", "<!-- memory model: end -->"
STEPS = 2  # the optimizer's state is there from the second one on
ROWS = (
    ("nnunet", (64, 64, 64), 2),
    ("nnunet", (96, 96, 96), 2),
    ("unet", (96, 96, 64), 2),
    ("nnunet-pocket", (64, 64, 64), 2),
    ("nnunet-pocket", (96, 96, 96), 1),
    ("segresnet", (64, 64, 64), 1),
    ("attention-unet", (64, 64, 64), 1),
    ("mednext-small", (64, 64, 64), 1),
    ("resenc-m", (64, 64, 64), 1),
    ("fmgnet", (64, 64, 64), 1),
    ("nnunet-subpixel", (96, 96, 96), 2),
)
PRECISIONS = ("fp32", "bf16")


def measure(again: bool) -> None:
    """Measure what is missing, keeping each row as soon as it is done."""
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        data = make_phantom(Path(folder) / "data", num_cases=3, shape=(96, 96, 96))
        for network, patch, batch in ROWS:
            for precision in PRECISIONS:
                key = f"{network} {batch} x {'x'.join(map(str, patch))} {precision}"
                if key in figures and not again:
                    continue
                options = PlanOptions(network=network, patch_size=patch, batch_size=batch, folds=2, memory=1000)
                made = pipeline.autoconfig(data, Path(folder) / "out", options, overwrite=True)
                plan = replace(made.plan, precision=Decision(precision, ""))
                use = plan_memory(plan, on_gpu=False, half=precision == "bf16")
                found = time_steps(made.bundle, {"precision": precision}, "cpu", STEPS)
                figures[key] = {"measured": found["memory_bytes"], "modelled": round(use.total) if use else None}
                print(key, figures[key], flush=True)
                write_json(FIGURES, figures)


def render() -> None:
    """Put the table into the page."""
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    lines = ["| network, patches | precision | measured GB | modelled GB | error |", "|---|---|---|---|---|"]
    errors = []
    for key, row in figures.items():
        name, _, precision = key.rpartition(" ")
        error = row["modelled"] / row["measured"] - 1
        errors.append(abs(error))
        measured, modelled = (row[kind] / 1e9 for kind in ("measured", "modelled"))
        lines.append(f"| {name} | {precision} | {measured:.2f} | {modelled:.2f} | {error:+.0%} |")
    mean, worst = sum(errors) / len(errors), max(errors)
    lines += ["", f"Mean absolute error {mean:.0%}, largest {worst:.0%}, over {len(errors)} trainings."]
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="measure rows anew that were measured before")
    parser.add_argument("--render", action="store_true", help="only write the table")
    options = parser.parse_args()
    if not options.render:
        measure(options.again)
    render()
