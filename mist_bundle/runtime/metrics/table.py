"""results.csv: one row a case in the order of the ids, then five rows of statistics (MIST 2.2)."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

STATISTICS = ("Mean", "Std", "Median", "25th Percentile", "75th Percentile")


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Column -> statistic -> value, over the values that are numbers; the standard deviation has ddof 0."""
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "id"))
    return {column: _statistics([float(row.get(column, np.nan)) for row in rows]) for column in columns}


def _statistics(values: Sequence[float]) -> dict[str, float]:
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    if not array.size:
        return dict.fromkeys(STATISTICS, float("nan"))
    low, middle, high = np.percentile(array, [25, 50, 75])
    found = (array.mean(), array.std(), middle, low, high)
    return {name: float(value) for name, value in zip(STATISTICS, found, strict=True)}


def write_results(path: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Write the table atomically.

    Args:
        path: the CSV file.
        rows: {"id": text, "<class>_<metric>": number}, in any order.

    Returns:
        The statistics, as `summarize` gives them.
    """
    ordered = sorted(rows, key=lambda row: str(row["id"]))
    summary = summarize(ordered)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=["id", *summary], lineterminator="\n")
    writer.writeheader()
    writer.writerows(ordered)
    for name in STATISTICS:
        writer.writerow({"id": name, **{column: values[name] for column, values in summary.items()}})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    temporary.write_text(stream.getvalue(), encoding="utf-8")
    os.replace(temporary, path)
    return summary
