"""The scores of all folds in a single table."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.evaluation.gather import NOT_SCORED, failed_cases, gather_folds, read_table_of_results
from mist_bundle.runtime.metrics.table import write_results

ROWS = [{"id": "010", "a_dice": 0.5}, {"id": "001", "a_dice": 0.9}, {"id": "2", "a_dice": float("nan")}]


def test_folds_are_gathered_without_their_statistics(tmp_path: Path) -> None:
    write_results(tmp_path / "0.csv", ROWS[:2])
    write_results(tmp_path / "1.csv", [{"id": "003", "a_dice": 0.1}])
    rows = gather_folds([tmp_path / "0.csv", tmp_path / "1.csv"])
    assert {row["id"]: row["a_dice"] for row in rows} == {"001": 0.9, "010": 0.5, "003": 0.1}


def test_missing_and_overlapping_folds_are_refused(tmp_path: Path) -> None:
    write_results(tmp_path / "0.csv", ROWS)
    with pytest.raises(InputError, match="Train and evaluate this fold first"):
        gather_folds([tmp_path / "0.csv", tmp_path / "1.csv"])
    write_results(tmp_path / "1.csv", ROWS[:1])
    with pytest.raises(InputError, match="010 is in another fold too"):
        gather_folds([tmp_path / "0.csv", tmp_path / "1.csv"])


def test_a_case_without_scores_is_named_with_its_reason(tmp_path: Path) -> None:
    write_results(tmp_path / "0.csv", ROWS[:1], {"004": "has no prediction"})
    write_results(tmp_path / "1.csv", ROWS[1:])
    tables = [tmp_path / "0.csv", tmp_path / "1.csv"]
    rows = gather_folds(tables)
    failed = failed_cases(tables, rows, ["001", "010", "2", "004", "005"])
    assert failed == {"004": "has no prediction", "005": NOT_SCORED}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"id,a_dice\n1,good\n", "cannot be used: .*expected a number"),
        (b"case,a_dice\n1,0.5\n", "cannot be used: .*no column 'id'"),
    ],
)
def test_files_that_are_not_tables_of_results(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "results.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_table_of_results(path)
