"""The section about post-processing: what was chosen by the out-of-fold predictions, why, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.artifacts import read_json
from mist_bundle.report.data_part import facts
from mist_bundle.report.html import Html, details, el, missing, number, section, table

# what choose_postprocessing leaves in the work folder
FOLDER, CHOICE_JSON, CHANGE_JSON = "postprocessing", "choice.json", "change.json"
_TITLE = "Post-processing"


def postprocessing_section(work_dir: Path, bundle_name: str) -> Html:
    """The chosen strategy and its effect; what makes it where nothing was chosen yet."""
    folder = work_dir / FOLDER
    if not (folder / CHOICE_JSON).is_file():
        command = f"python -m mist_bundle choose_postprocessing {bundle_name}"
        return section("postprocessing", _TITLE, missing("No post-processing was chosen yet.", command))
    choice = read_json(folder / CHOICE_JSON)
    change = read_json(folder / CHANGE_JSON) if (folder / CHANGE_JSON).is_file() else {}
    steps = [[str(index + 1), *_step_cells(step)] for index, step in enumerate(choice["strategy"])]
    chosen = table(["step", "operation", "labels", "settings"], steps, caption="What inference applies, in this order")
    return section(
        "postprocessing",
        _TITLE,
        el("p", choice["because"]),
        chosen if steps else el("p", "Predictions stay as the network makes them."),
        _numbers(choice, change),
        _columns(change),
        details("Everything that was tried", _candidates(choice.get("candidates", []))),
        lead="Chosen by the predictions of held-out cases. Quality runs from 0, the worst value of a metric, to 1.",
    )


def _numbers(choice: Mapping[str, Any], change: Mapping[str, Any]) -> Html:
    weights = ", ".join(f"{name} {number(weight)}" for name, weight in choice.get("weights", {}).items())
    shown: list[tuple[str, object]] = [
        ("gain of quality", number(choice["gain"])),
        ("gain on folds that had no say", number(choice["held_out_gain"])),
        ("cases improved", len(change.get("improved", []))),
        ("cases worsened", len(change.get("worsened", []))),
    ]
    if weights:
        shown.append(("weights", weights))
    return facts(shown)


def _columns(change: Mapping[str, Any]) -> Html | None:
    rows = [
        [name, number(one["before"]), number(one["after"]), _signed(one["after"] - one["before"])]
        for name, one in change.get("columns", {}).items()
    ]
    if not rows:
        return None
    return table(["class and metric", "before", "after", "change"], rows, caption="Means over the held-out cases")


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> Html:
    rows = [[*_step_cells(one), _signed(one["gain"])] for one in candidates]
    return table(["operation", "labels", "settings", "gain"], rows, caption="Single steps", sortable=True)


def _step_cells(step: Mapping[str, Any]) -> list[str]:
    """Operation, labels and settings of a step of a strategy file."""
    labels = step.get("apply_to_labels")
    which = ", ".join(map(str, labels)) if isinstance(labels, list) else "all"
    together = "" if step.get("per_label", True) else " together"
    settings = ", ".join(f"{key} {value}" for key, value in step.get("kwargs", {}).items())
    return [str(step["transform"]).replace("_", " "), f"{which}{together}", settings or "–"]


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)
