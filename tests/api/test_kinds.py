"""Kinds of values that arguments of the API take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mist_bundle.api import kinds
from mist_bundle.runtime.values import Kind, Whole, read_value

FOLDS = kinds.FoldNumbers(of=Whole(low=0, high=9999), least=1, distinct=True)
WORKERS = kinds.WorkerCount(low=1, high=kinds.MAX_WORKERS)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FOLDS, "all", "all"),
        (FOLDS, "0,2", (0, 2)),
        (WORKERS, "3", 3),
        (WORKERS, "tcp://host:8786", "tcp://host:8786"),
        (kinds.NumberByName(), '{"dice": 2}', {"dice": 2}),
        (kinds.OptionsByName(), '{"surface_dice": {"tolerance_mm": 2}}', {"surface_dice": {"tolerance_mm": 2}}),
    ],
)
def test_values_are_read(kind: Kind, text: str, value: Any) -> None:
    assert read_value(kind, text) == (value, None)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (FOLDS, "0,0", "none twice|the number of a fold"),
        (WORKERS, "0", "a number of processes from 1 to 1024"),
        (kinds.NumberByName(), '{"dice": -1}', "a JSON object of numbers"),
        (kinds.OptionsByName(), '{"surface_dice": 2}', "options by metric"),
    ],
)
def test_other_values_are_refused_in_words(kind: Kind, text: str, sentence: str) -> None:
    problem = read_value(kind, text)[1]
    assert problem is not None
    assert any(words in problem for words in sentence.split("|"))


def test_json_may_lie_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text('{"dice": 1}')
    assert read_value(kinds.NumberByName(), str(path)) == ({"dice": 1}, None)


@pytest.mark.parametrize("table", [kinds.METRICS, kinds.SCORING, kinds.HARDWARE])
def test_defaults_in_the_tables_are_of_their_kind(table: dict[str, Any]) -> None:
    for name, option in table.items():
        assert option.name == name
        assert option.about.endswith(".")
        assert option.default is None or option.kind.holds(option.default)
