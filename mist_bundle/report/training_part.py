"""The section about training: loss, validation Dice of each class and learning rate of every fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.files import read_json
from mist_bundle.planning.plan import Plan
from mist_bundle.report import charts
from mist_bundle.report.charts import Series
from mist_bundle.report.colours import chart_colour, colours_of_plan, fold_colour
from mist_bundle.report.html import Html, el, hint, problem, section, table
from mist_bundle.runtime.folds.state import HISTORY, STATUS, VALIDATION_LOSS
from mist_bundle.runtime.wording import as_time

_MAX_CLASSES = 8  # lines in a chart


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldHistory:
    """The history of a fold's training.

    Attributes:
        fold: its number.
        records: of the epochs, in order.
        status: progress of the training.
        num_damaged: number of lines that could not be read.
    """

    fold: int
    records: Sequence[Mapping[str, Any]]
    status: Mapping[str, Any]
    num_damaged: int = 0


def read_histories(work_dir: Path) -> list[FoldHistory]:
    """The histories of all folds whose training has begun, sorted by fold."""
    histories = []
    for path in work_dir.glob(f"fold_*/{HISTORY}"):
        fold = path.parent.name.removeprefix("fold_")
        records, num_damaged = _records(path)
        if not fold.isdigit() or not records:
            continue
        status_file = path.parent / STATUS
        status = read_json(status_file) if status_file.is_file() else {}
        histories.append(FoldHistory(fold=int(fold), records=records, status=status, num_damaged=num_damaged))
    return sorted(histories, key=lambda history: history.fold)


def training_section(histories: Sequence[FoldHistory], bundle_name: str, plan: Plan) -> Html:
    """Curves and a table row for each fold."""
    if not histories:
        hint_to_train = hint("Not trained yet.", f"mist-bundle train {bundle_name} --fold all")
        return section("training", "Training", hint_to_train)
    untrained = set(range(plan.num_folds))
    num_damaged = 0
    rows = []
    for history in histories:
        untrained.discard(history.fold)
        num_damaged += history.num_damaged
        rows.append(_fold_row(history))
    notes = []
    if untrained:
        folds = list(map(str, sorted(untrained)))
        command = f"mist-bundle train {bundle_name} --fold {','.join(folds)}"
        notes.append(hint(f"Not trained yet: fold {', '.join(folds)}.", command))
    if num_damaged:
        notes.append(problem(f"{num_damaged} lines of {HISTORY} could not be read and are left out."))
    head = ["fold", "epochs", "last loss", "best validation Dice", "at epoch", "time"]
    return section(
        "training",
        "Training",
        *notes,
        charts.grid([_losses(histories), *_dice_charts(histories, colours_of_plan(plan)), _rates(histories)]),
        table(head, rows, caption="Folds"),
        lead="An epoch is a fixed number of training steps, and training minimises the loss. Dice is measured on a few "
        "training cases that are set aside to choose the best epoch. The held-out cases, on which the results are "
        "based, are never used.",
    )


def _records(path: Path) -> tuple[list[Mapping[str, Any]], int]:
    """The records of a history by epoch, and the number of damaged lines.

    A killed training may leave half a line. A resumed training may repeat an epoch, whose last record counts.
    """
    by_epoch: dict[int, Mapping[str, Any]] = {}
    num_damaged = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            by_epoch[int(record["epoch"])] = record
        except (ValueError, TypeError, KeyError):
            num_damaged += 1
    records = list(map(by_epoch.__getitem__, sorted(by_epoch)))
    return records, num_damaged


def _losses(histories: Sequence[FoldHistory]) -> Html:
    """The training loss of each fold and, where it was measured, the validation loss."""
    training = []
    validation = []
    for history in histories:
        name = f"fold {history.fold}"
        colour = fold_colour(history.fold)
        training.append(Series(name=name, points=_points(history, "loss"), colour=colour))
        points = _points(history, VALIDATION_LOSS)
        if points:
            validation.append(Series(name=f"{name}, validation", points=points, colour=colour, style=1))
    return charts.line_chart("Loss", "epoch", "loss", [*training, *validation])


def _rates(histories: Sequence[FoldHistory]) -> Html:
    lines = []
    for history in histories:
        points = _points(history, "learning_rate")
        colour = fold_colour(history.fold)
        lines.append(Series(name=f"fold {history.fold}", points=points, colour=colour, style=history.fold))
    return charts.line_chart("Learning rate", "epoch", "learning rate", lines)


def _points(history: FoldHistory, key: str) -> list[tuple[float, float]]:
    """(epoch, value) of the epochs that have a value."""
    points = []
    for record in history.records:
        if record.get(key) is not None:
            points.append((record["epoch"], record[key]))
    return points


def _dice_charts(histories: Sequence[FoldHistory], colours: Mapping[str, int]) -> list[Html]:
    """With few folds a chart for each fold, with a line for each class; with many folds a chart for each class."""
    names = _class_names(histories)[:_MAX_CLASSES]
    figures = []
    if len(histories) <= len(names):
        for history in histories:
            lines = []
            for index, name in enumerate(names):
                colour = chart_colour(colours.get(name, index))
                lines.append(Series(name=name, points=_dice_points(history, name), colour=colour, style=index))
            figures.append(_dice_chart(f"fold {history.fold}", lines))
    else:
        for name in names:
            lines = []
            for history in histories:
                points = _dice_points(history, name)
                colour = fold_colour(history.fold)
                lines.append(Series(name=f"fold {history.fold}", points=points, colour=colour, style=history.fold))
            figures.append(_dice_chart(name, lines))
    return figures


def _dice_chart(subject: str, lines: Sequence[Series]) -> Html:
    return charts.line_chart(f"Validation Dice, {subject}", "epoch", "Dice", lines, from_zero=True)


def _class_names(histories: Sequence[FoldHistory]) -> list[str]:
    """The classes with a validation Dice, in the order of their first record."""
    names: dict[str, None] = {}
    for history in histories:
        for record in history.records:
            names.update(dict.fromkeys(record.get("dice") or ()))
    return list(names)


def _dice_points(history: FoldHistory, name: str) -> list[tuple[float, float]]:
    points = []
    for record in history.records:
        value = (record.get("dice") or {}).get(name)
        if value is not None:
            points.append((record["epoch"], value))
    return points


def _fold_row(history: FoldHistory) -> list[object]:
    last = history.records[-1]
    status = history.status
    epochs = str(status.get("epoch", last["epoch"]))
    if status.get("epochs"):
        epochs = f"{epochs} of {status['epochs']}"
    seconds = 0.0
    for record in history.records:
        seconds += float(record.get("seconds") or 0.0)
    best_score = status.get("best_score")
    return [
        el("span", f"fold {history.fold}"),
        epochs,
        last.get("loss"),
        None if best_score is None else float(best_score),
        status.get("best_epoch"),
        as_time(seconds),
    ]
