"""The results table: order, statistics, text ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mist_bundle.dataset.names import SUMMARY_ROWS
from mist_bundle.runtime.metrics.table import STATISTICS, read_results, write_results

ROWS = [{"id": "010", "a_dice": 0.5}, {"id": "001", "a_dice": 0.9}, {"id": "2", "a_dice": float("nan")}]


def test_rows_are_sorted_and_statistics_are_pandas(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    summary = write_results(path, ROWS)
    table = pd.read_csv(path, dtype={"id": str})
    assert list(table["id"]) == ["001", "010", "2", *STATISTICS]
    values = pd.Series([0.9, 0.5])
    expected = [values.mean(), values.std(ddof=0), values.median(), values.quantile(0.25), values.quantile(0.75)]
    np.testing.assert_allclose(table["a_dice"][-5:], expected)
    assert summary["a_dice"]["Mean"] == pytest.approx(0.7)


def test_ids_that_are_refused_are_the_names_of_the_statistics() -> None:
    assert tuple(name.casefold() for name in STATISTICS) == SUMMARY_ROWS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,a_dice\n1,inf\n", "'inf' in the column 'a_dice'; expected a number"),
        ("id,a_dice\n1,1e999\n", "expected a number"),
        ("id,a_dice,a_dice\n1,0.5,0.6\n", r"has the columns \['a_dice'\] more than once"),
    ],
)
def test_values_that_are_none_and_columns_that_hide_each_other(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "results.csv").write_text(content)
    with pytest.raises(ValueError, match=said):
        read_results(tmp_path / "results.csv")


def test_an_endless_file_is_not_read() -> None:
    with pytest.raises(ValueError, match="is not a regular file"):
        read_results(Path("/dev/zero"))
