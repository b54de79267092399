"""The table of results: one row a case, sorted by id, and five rows of statistics at its end.

The columns are `id` and then `<class>_<metric>`. A value that is not defined is written `nan` and left out of the
statistics. results.csv is for spreadsheets and MIST's tools; results.json beside it holds the same and the failed
cases.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..folds.files import write_bytes

ID = "id"
STATISTICS = ("Mean", "Std", "Median", "25th Percentile", "75th Percentile")  # in the order of the paper
Row = dict[str, Any]
Summary = dict[str, dict[str, float]]


def sorted_rows(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows by id, all with the same columns in the order of the first row that has them.

    Raises:
        ValueError: an id stands there twice; the rows would be taken for different cases.
    """
    ids = [str(row[ID]) for row in rows]
    if repeated := sorted({one for one in ids if ids.count(one) > 1}):
        raise ValueError(f"The ids {repeated} stand in the results more than once.")
    columns = list(dict.fromkeys(column for row in rows for column in row if column != ID))
    filled = [{ID: str(row[ID]), **{name: float(row.get(name, math.nan)) for name in columns}} for row in rows]
    return sorted(filled, key=lambda row: str(row[ID]))


def summarize(rows: Sequence[Mapping[str, Any]]) -> Summary:
    """Column -> statistic -> value over all cases, without NaN (NaN where no case has a value); Std with ddof 0."""
    columns = list(dict.fromkeys(column for row in rows for column in row if column != ID))
    return {name: _statistics([float(row.get(name, math.nan)) for row in rows]) for name in columns}


def undefined_values(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Column -> ids of the cases without a value, which the statistics leave out; columns without such are left out."""
    cases = sorted_rows(rows)
    columns = [column for column in (cases[0] if cases else {}) if column != ID]
    found = {column: [str(row[ID]) for row in cases if math.isnan(row[column])] for column in columns}
    return {column: ids for column, ids in found.items() if ids}


def results_table(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows sorted by id, followed by one row for each of STATISTICS."""
    cases = sorted_rows(rows)
    summary = summarize(cases)
    return cases + [{ID: name, **{column: summary[column][name] for column in summary}} for name in STATISTICS]


def write_results(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    failed: Mapping[str, str] | None = None,
    derived_from: Mapping[str, Any] | None = None,
) -> Summary:
    """Write results.csv at `path` and the same as JSON beside it (same name, .json); both atomically.

    Args:
        path: of the CSV file.
        rows: one for each scored case, with its `id`.
        failed: id of each case that could not be scored, and why. They stand in the JSON file only: an invented value
            would falsify the statistics.
        derived_from: what the scores hold for, such as the hash of the weights; in the JSON file only.

    Returns:
        What `summarize` gives.
    """
    table = results_table(rows)
    cases = table[: -len(STATISTICS)]
    summary = summarize(cases)
    columns = [ID, *summary]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    content: dict[str, Any] = {
        "num_cases": len(cases),
        "num_failed": len(failed or {}),
        "failed": [{ID: name, "message": message} for name, message in sorted((failed or {}).items())],
        "undefined": undefined_values(cases),
        "summary": summary,
        "cases": cases,
    }
    if derived_from is not None:
        content["derived_from"] = dict(derived_from)
    # the JSON file says what the scores hold for, so it comes last: it never vouches for a table that is older
    write_bytes(path, text.getvalue().encode("utf-8"))
    as_json = json.dumps(_without_nan(content), indent=2, ensure_ascii=False) + "\n"
    write_bytes(path.with_suffix(".json"), as_json.encode("utf-8"))
    return summary


def read_results(path: Path) -> list[Row]:
    """The cases of a results.csv, without its rows of statistics; ids are text.

    Raises:
        ValueError: it is no such table: no id column, a value that is no number, or an id that stands there twice.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        read = list(csv.DictReader(stream))
    if not read or ID not in read[0]:
        raise ValueError(f"{path} is no table of results: it has no column {ID!r} or no rows.")
    # MIST writes the same statistics in another order
    if {row[ID] for row in read[-len(STATISTICS) :]} == set(STATISTICS):
        read = read[: -len(STATISTICS)]
    return sorted_rows([{name: _cell(path, row, name) for name in row} for row in read])


def _cell(path: Path, row: Mapping[str, str | None], name: str) -> str | float:
    text = row[name]
    if name == ID:
        return str(text)
    try:
        return float(text or math.nan)
    except (TypeError, ValueError):
        raise ValueError(f"{path}: case {row[ID]} has {text!r} in the column {name!r}; expected a number.") from None


def _statistics(column: Sequence[float]) -> dict[str, float]:
    values = np.array(column, dtype=np.float64)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return dict.fromkeys(STATISTICS, math.nan)
    low, median, high = np.percentile(values, (25, 50, 75))
    numbers = (values.mean(), values.std(), median, low, high)
    return {name: float(number) for name, number in zip(STATISTICS, numbers, strict=True)}


def _without_nan(value: Any) -> Any:
    """JSON has no NaN; null says the same."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
