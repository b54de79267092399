"""Put the scores of all folds into one table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.metrics.table import STATISTICS, write_results

__all__ = ["gather_folds", "write_results"]


def gather_folds(tables: Sequence[Path]) -> list[dict[str, str | float]]:
    """The rows of several results.csv, without their statistics.

    Raises:
        InputError: a table is missing, or a case stands in two of them.
    """
    missing = [
        Problem(str(path), "is not there. Train and evaluate this fold first.") for path in tables if not path.is_file()
    ]
    if missing:
        raise InputError(missing)
    rows: dict[str, dict[str, str | float]] = {}
    problems = []
    for path in tables:
        for row in _rows(path):
            identity = str(row["id"])
            if identity in rows:
                problems.append(Problem(str(path), f"case {identity} is in another fold too."))
            rows[identity] = row
    if problems:
        raise InputError(problems)
    return list(rows.values())


def _rows(path: Path) -> list[dict[str, str | float]]:
    with path.open(newline="", encoding="utf-8") as stream:
        read = list(csv.DictReader(stream))
    return [
        {key: value if key == "id" else float(value or "nan") for key, value in row.items()}
        for row in read
        if row["id"] not in STATISTICS
    ]
