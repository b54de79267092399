"""The section about post-processing: what was chosen by the out-of-fold predictions, why, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.catalog.postprocessing import POSTPROCESSING
from mist_bundle.files import read_json
from mist_bundle.report.data_part import facts
from mist_bundle.report.html import Html, details, el, even_decimals, hint, number, section, table
from mist_bundle.report.metric_words import title_of, with_unit
from mist_bundle.runtime.metrics.columns import split_columns

# what choose_postprocessing leaves in the work folder
FOLDER, CHOICE_JSON, CHANGE_JSON = "postprocessing", "choice.json", "change.json"
_TITLE = "Post-processing"


def postprocessing_section(work_dir: Path, plan: Mapping[str, Any], bundle_name: str) -> Html:
    """The chosen strategy and its effect; what makes it where nothing was chosen yet."""
    folder = work_dir / FOLDER
    if not (folder / CHOICE_JSON).is_file():
        command = f"mist-bundle choose_postprocessing {bundle_name}"
        return section("postprocessing", _TITLE, hint("No post-processing was chosen yet.", command))
    choice = read_json(folder / CHOICE_JSON)
    change = read_json(folder / CHANGE_JSON) if (folder / CHANGE_JSON).is_file() else {}
    names = dict(zip(plan["labels"], plan["label_names"], strict=True))
    steps = [[str(index + 1), *_step_cells(step, names)] for index, step in enumerate(choice["strategy"])]
    head = ["step", "operation", "on", "settings", "what it does"]
    chosen = table(head, steps, caption="What prediction applies, in this order", stacked=True)
    return section(
        "postprocessing",
        _TITLE,
        el("p", choice["because"]),
        chosen if steps else el("p", "Predictions stay as the network makes them."),
        _numbers(choice, change),
        _columns(change, list(plan["final_classes"])),
        details("Everything that was tried", _candidates(choice.get("candidates", []), names)),
        lead="Simple corrections of the predicted label maps, such as leaving out small islands. They were chosen by "
        "the predictions of held-out cases. Quality puts all metrics on one scale, from 0 (worst) to 1 (perfect). "
        "The results above are those without post-processing.",
    )


def _numbers(choice: Mapping[str, Any], change: Mapping[str, Any]) -> Html:
    weights = ", ".join(f"{title_of(name)} {number(weight)}" for name, weight in choice.get("weights", {}).items())
    shown: list[tuple[str, object]] = [
        ("gain of quality", number(choice["gain"])),
        ("gain on folds that had no say", number(choice["held_out_gain"])),
        ("cases improved", len(change.get("improved", []))),
        ("cases worsened", len(change.get("worsened", []))),
    ]
    if weights:
        shown.append(("weights", weights))
    return facts(shown)


def _columns(change: Mapping[str, Any], classes: Sequence[str]) -> Html | None:
    rows = []
    changes = change.get("columns", {})
    split = split_columns(list(changes), classes)
    for column, one in changes.items():
        name, metric = split.get(column, (column, ""))
        before, after = one["before"], one["after"]
        digits = even_decimals([before, after])
        shown = (f"{before:.{digits}f}", f"{after:.{digits}f}", f"{after - before:+.{digits}f}")
        rows.append([name, with_unit(metric), *shown])
    if not rows:
        return None
    return table(["class", "metric", "before", "after", "change"], rows, caption="Means over the held-out cases")


def _candidates(candidates: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> Html:
    rows = [[*_step_cells(one, names)[:-1], _signed(one["gain"])] for one in candidates]
    return table(["operation", "on", "settings", "gain"], rows, caption="Single steps", sortable=True)


def _step_cells(step: Mapping[str, Any], names: Mapping[int, str]) -> list[str]:
    """Operation, labels, settings and meaning of a step of a strategy file."""
    labels = step.get("apply_to_labels")
    which = ", ".join(names.get(label, str(label)) for label in labels) if isinstance(labels, list) else "all labels"
    together = "" if step.get("per_label", True) else " together"
    settings = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in step.get("kwargs", {}).items())
    row = POSTPROCESSING.get(str(step["transform"]))
    operation = str(step["transform"]).replace("_", " ")
    return [operation, f"{which}{together}", settings or "–", "" if row is None else row.about]


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)
