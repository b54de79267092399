"""The results table: order, statistics, text ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mist_bundle.dataset.names import SUMMARY_ROWS
from mist_bundle.runtime.metrics.table import STATISTICS, write_results

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
