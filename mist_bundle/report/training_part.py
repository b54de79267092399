"""The section about training: loss, Dice of each class on the inner validation split, learning rate, for every fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.files import read_json
from mist_bundle.report import charts
from mist_bundle.report.charts import Series
from mist_bundle.report.colours import chart_colour, colours_of_plan, fold_colour
from mist_bundle.report.html import Html, el, hint, problem, section, table
from mist_bundle.runtime.folds.state import HISTORY, STATUS

VALIDATION_LOSS = "val_loss"
_MAX_CLASSES = 8  # lines in a chart


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldHistory:
    """What a fold's training wrote.

    Attributes:
        fold: its number.
        records: one for each epoch, in their order.
        status: where the training stands.
        num_damaged: lines of the file that could not be read.
    """

    fold: int
    records: Sequence[Mapping[str, Any]]
    status: Mapping[str, Any]
    num_damaged: int = 0


def read_histories(work_dir: Path) -> list[FoldHistory]:
    """The histories of all folds that were trained, by fold."""
    found = []
    for path in work_dir.glob(f"fold_*/{HISTORY}"):
        number_of_fold = path.parent.name.removeprefix("fold_")
        if number_of_fold.isdigit():
            status = path.parent / STATUS
            records, num_damaged = _records(path)
            found.append(
                FoldHistory(
                    fold=int(number_of_fold),
                    records=records,
                    status=read_json(status) if status.is_file() else {},
                    num_damaged=num_damaged,
                )
            )
    return sorted((one for one in found if one.records), key=lambda one: one.fold)


def training_section(histories: Sequence[FoldHistory], bundle_name: str, plan: Mapping[str, Any]) -> Html:
    """Curves and a row for each fold."""
    title = "Training"
    if not histories:
        return section("training", title, _not_trained(bundle_name))
    absent = sorted(set(range(plan["num_folds"])) - {one.fold for one in histories})
    note = None
    if absent:
        note = hint(
            f"Not trained yet: fold {', '.join(map(str, absent))}.",
            f"mist-bundle train {bundle_name} --fold {','.join(map(str, absent))}",
        )
    damaged = sum(one.num_damaged for one in histories)
    head = ["fold", "epochs", "last loss", "best validation Dice", "at epoch", "time, min"]
    return section(
        "training",
        title,
        note,
        problem(f"{damaged} lines of {HISTORY} could not be read and are left out.") if damaged else None,
        charts.grid([_losses(histories), *_dice_charts(histories, colours_of_plan(plan)), _rates(histories)]),
        table(head, [_fold_row(one) for one in histories], caption="Folds"),
        lead="How the training went. An epoch is a fixed number of steps; the loss is what training makes small. Dice "
        "is measured on a few training cases that are set aside to choose the best epoch; the held-out cases, by which "
        "the results are judged, play no part.",
    )


def _not_trained(bundle_name: str) -> Html:
    return hint("Not trained yet.", f"mist-bundle train {bundle_name} --fold all")


def _records(path: Path) -> tuple[list[Mapping[str, Any]], int]:
    """The records of a history by epoch, and how many lines are damaged.

    A training that was killed may leave half a line, and one that was resumed an epoch twice: the last one counts.
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
    return [by_epoch[epoch] for epoch in sorted(by_epoch)], num_damaged


def _losses(histories: Sequence[FoldHistory]) -> Html:
    """The loss of each fold, in training and, where it was measured, on the cases that are set aside."""
    lines = [_line(one, "loss", f"fold {one.fold}", 0) for one in histories]
    validation = [_line(one, VALIDATION_LOSS, f"fold {one.fold}, validation", 1) for one in histories]
    shown = [*lines, *(line for line in validation if line.points)]
    return charts.line_chart("Loss", "epoch", "loss", shown)


def _rates(histories: Sequence[FoldHistory]) -> Html:
    lines = [_line(one, "learning_rate", f"fold {one.fold}", one.fold) for one in histories]
    return charts.line_chart("Learning rate", "epoch", "learning rate", lines)


def _line(history: FoldHistory, key: str, name: str, style: int) -> Series:
    points = [(record["epoch"], record[key]) for record in history.records if record.get(key) is not None]
    return Series(name=name, points=points, colour=fold_colour(history.fold), style=style)


def _dice_charts(histories: Sequence[FoldHistory], colours: Mapping[str, int]) -> list[Html]:
    """Few folds: a chart for each, with a line for each class; many folds: a chart for each class."""
    names = list(
        dict.fromkeys(name for one in histories for record in one.records for name in record.get("dice") or {})
    )
    names = names[:_MAX_CLASSES]
    if len(histories) <= len(names):
        return [
            _dice_chart(
                f"Validation Dice, fold {one.fold}",
                [(name, one, name, chart_colour(colours.get(name, index)), index) for index, name in enumerate(names)],
            )
            for one in histories
        ]
    return [
        _dice_chart(
            f"Validation Dice, {name}",
            [(f"fold {one.fold}", one, name, fold_colour(one.fold), one.fold) for one in histories],
        )
        for name in names
    ]


def _dice_chart(title: str, lines: Sequence[tuple[str, FoldHistory, str, str, int]]) -> Html:
    series = []
    for words, history, name, colour, style in lines:
        values = [(record["epoch"], (record.get("dice") or {}).get(name)) for record in history.records]
        points = [(epoch, value) for epoch, value in values if value is not None]
        series.append(Series(name=words, points=points, colour=colour, style=style))
    return charts.line_chart(title, "epoch", "Dice", series, from_zero=True)


def _fold_row(one: FoldHistory) -> list[object]:
    seconds = sum(float(record.get("seconds") or 0.0) for record in one.records)
    done, planned = one.status.get("epoch", one.records[-1]["epoch"]), one.status.get("epochs")
    best = one.status.get("best_score")
    return [
        el("span", f"fold {one.fold}"),
        f"{done} of {planned}" if planned else str(done),
        one.records[-1].get("loss"),
        None if best is None else float(best),
        one.status.get("best_epoch"),
        seconds / 60,
    ]
