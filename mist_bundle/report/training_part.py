"""The section about training: loss, Dice of each class on the inner validation split, learning rate, for every fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.artifacts import read_json
from mist_bundle.errors import InputError, Problem
from mist_bundle.report import charts
from mist_bundle.report.charts import Series
from mist_bundle.report.colours import colours_of_plan
from mist_bundle.report.html import Html, el, missing, number, section, table

HISTORY = "history.jsonl"
STATUS = "status.json"
_MAX_CLASSES = 8  # lines in a chart


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldHistory:
    """What a fold's training wrote: a record for each epoch, and where it stands."""

    fold: int
    records: Sequence[Mapping[str, Any]]
    status: Mapping[str, Any]


def read_histories(work_dir: Path) -> list[FoldHistory]:
    """The histories of all folds that were trained, by fold.

    Raises:
        InputError: a history.jsonl is damaged; names the line.
    """
    found = []
    for path in work_dir.glob(f"fold_*/{HISTORY}"):
        number_of_fold = path.parent.name.removeprefix("fold_")
        if number_of_fold.isdigit():
            status = path.parent / STATUS
            found.append(
                FoldHistory(
                    fold=int(number_of_fold),
                    records=_records(path),
                    status=read_json(status) if status.is_file() else {},
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
        note = missing(
            f"Not trained yet: fold {', '.join(map(str, absent))}.",
            f"python -m mist_bundle train {bundle_name} --fold {','.join(map(str, absent))}",
        )
    rows = [_fold_row(one) for one in histories]
    head = ["fold", "epochs", "last loss", "best validation Dice", "at epoch", "time, min"]
    return section(
        "training",
        title,
        note,
        charts.grid(
            [
                _curve(histories, "loss", "Training loss", "loss"),
                *_dice_charts(histories, colours_of_plan(plan)),
                _rates(histories),
            ]
        ),
        table(head, rows, caption="Folds"),
        lead="How the training went. An epoch is a fixed number of steps; the loss is what training makes small. Dice "
        "is measured on a few training cases that are set aside to choose the best epoch; the held-out cases, by which "
        "the results are judged, play no part.",
    )


def _not_trained(bundle_name: str) -> Html:
    return missing("Not trained yet.", f"python -m mist_bundle train {bundle_name} --fold all")


def _records(path: Path) -> list[Mapping[str, Any]]:
    records = []
    for index, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise InputError(Problem(f"{path}, line {index}", f"is not valid JSON: {error.msg}.")) from error
    return records


def _curve(histories: Sequence[FoldHistory], key: str, title: str, y_label: str) -> Html:
    series = [
        Series(
            name=f"fold {one.fold}",
            points=[(record["epoch"], record[key]) for record in one.records if record.get(key) is not None],
            colour=one.fold,
            style=one.fold,
        )
        for one in histories
    ]
    return charts.line_chart(title, "epoch", y_label, series)


def _rates(histories: Sequence[FoldHistory]) -> Html:
    return _curve(histories, "learning_rate", "Learning rate", "learning rate")


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
                [(name, one, name, colours.get(name, index)) for index, name in enumerate(names)],
            )
            for one in histories
        ]
    return [
        _dice_chart(f"Validation Dice, {name}", [(f"fold {one.fold}", one, name, one.fold) for one in histories])
        for name in names
    ]


def _dice_chart(title: str, lines: Sequence[tuple[str, FoldHistory, str, int]]) -> Html:
    series = []
    for words, history, name, colour in lines:
        values = [(record["epoch"], (record.get("dice") or {}).get(name)) for record in history.records]
        points = [(epoch, value) for epoch, value in values if value is not None]
        series.append(Series(name=words, points=points, colour=colour, style=colour))
    return charts.line_chart(title, "epoch", "Dice", series, from_zero=True)


def _fold_row(one: FoldHistory) -> list[object]:
    seconds = sum(record.get("seconds", 0.0) for record in one.records)
    done, planned = one.status.get("epoch", one.records[-1]["epoch"]), one.status.get("epochs")
    return [
        el("span", f"fold {one.fold}"),
        f"{done} of {planned}" if planned else str(done),
        number(one.records[-1].get("loss")),
        number(one.status.get("best_score")),
        number(one.status.get("best_epoch")),
        number(seconds / 60),
    ]
