"""The section about post-processing: the strategy chosen on out-of-fold predictions, the reason, and its effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.catalog.postprocessing import POSTPROCESSING
from mist_bundle.files import read_json
from mist_bundle.planning.plan import Plan
from mist_bundle.report.colours import label_names_of
from mist_bundle.report.html import Html, details, el, facts, hint, number, section, table
from mist_bundle.report.metric_words import title_of, with_unit
from mist_bundle.runtime.metrics.columns import split_columns
from mist_bundle.runtime.wording import even_decimals

# written by choose_postprocessing in the work folder
FOLDER = "postprocessing"
CHOICE_JSON = "choice.json"
CHANGE_JSON = "change.json"
_TITLE = "Post-processing"


def postprocessing_section(work_dir: Path, plan: Plan, bundle_name: str) -> Html:
    """The chosen strategy and its effect; before the choice the command for it."""
    folder = work_dir / FOLDER
    if not (folder / CHOICE_JSON).is_file():
        command = f"mist-bundle choose_postprocessing {bundle_name}"
        return section("postprocessing", _TITLE, hint("Post-processing has not been chosen yet.", command))
    choice = read_json(folder / CHOICE_JSON)
    change = read_json(folder / CHANGE_JSON) if (folder / CHANGE_JSON).is_file() else {}
    names = label_names_of(plan)
    strategy = el("p", "Predictions are not post-processed.")
    if choice["strategy"]:
        rows = []
        for index, step in enumerate(choice["strategy"], start=1):
            rows.append([str(index), *_step_cells(step, names)])
        head = ["step", "operation", "on", "settings", "effect"]
        strategy = table(head, rows, caption="Steps of a prediction, in this order", stacked=True)
    return section(
        "postprocessing",
        _TITLE,
        el("p", choice["because"]),
        strategy,
        _numbers(choice, change),
        _columns(change, list(plan.final_classes)),
        details("All candidates", _candidates(choice.get("candidates", []), names)),
        lead="Simple corrections of the predicted label maps, such as the removal of small islands. They were chosen "
        "on the predictions of held-out cases. Quality puts all metrics on a common scale from 0 (worst) to 1 "
        "(perfect). The results above are without post-processing.",
    )


def _numbers(choice: Mapping[str, Any], change: Mapping[str, Any]) -> Html:
    values: list[tuple[str, object]] = [
        ("gain of quality", number(choice["gain"])),
        ("gain on held-out folds", number(choice["held_out_gain"])),
        ("cases improved", len(change.get("improved", []))),
        ("cases worsened", len(change.get("worsened", []))),
    ]
    weights = []
    for metric, weight in choice.get("weights", {}).items():
        weights.append(f"{title_of(metric)} {number(weight)}")
    if weights:
        values.append(("weights", ", ".join(weights)))
    return facts(values)


def _columns(change: Mapping[str, Any], classes: Sequence[str]) -> Html | None:
    rows = []
    changes = change.get("columns", {})
    split = split_columns(list(changes), classes)
    for column, means in changes.items():
        name, metric = split.get(column, (column, ""))
        before = means["before"]
        after = means["after"]
        digits = even_decimals([before, after])
        values = (f"{before:.{digits}f}", f"{after:.{digits}f}", f"{after - before:+.{digits}f}")
        rows.append([name, with_unit(metric), *values])
    if not rows:
        return None
    return table(["class", "metric", "before", "after", "change"], rows, caption="Means over the held-out cases")


def _candidates(candidates: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> Html:
    rows = []
    for candidate in candidates:
        operation, labels, settings, _ = _step_cells(candidate, names)
        rows.append([operation, labels, settings, _signed(candidate["gain"])])
    return table(["operation", "on", "settings", "gain"], rows, caption="Single steps", sortable=True)


def _step_cells(step: Mapping[str, Any], names: Mapping[int, str]) -> list[str]:
    """Operation, labels, settings and effect of a step of a strategy file."""
    target = "all labels"
    labels = step.get("apply_to_labels")
    if isinstance(labels, list):
        target = ", ".join(names.get(label, str(label)) for label in labels)
    if not step.get("per_label", True):
        target = f"{target} together"
    settings = []
    for key, value in step.get("kwargs", {}).items():
        settings.append(f"{key.replace('_', ' ')} {value}")
    transform = str(step["transform"])
    row = POSTPROCESSING.get(transform)
    effect = "" if row is None else row.about
    return [transform.replace("_", " "), target, ", ".join(settings) or "–", effect]


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)
