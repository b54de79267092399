"""The table of results: a row for each case, sorted by id, and five rows of statistics at its end.

The columns are `id` and then `<class>_<metric>`. A value that is not defined is written `nan` and left out of the
statistics. results.csv is for spreadsheets and MIST's tools; results.json beside it holds the same and the failed
cases.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..folds.files import write_bytes, write_json

ID = "id"
STATISTICS = ("Mean", "Std", "Median", "25th Percentile", "75th Percentile")  # in the order of the paper
Row = dict[str, Any]
Summary = dict[str, dict[str, float]]


def sorted_rows(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows by id, all with the same columns in the order of the first row that has them.

    Raises:
        ValueError: an id stands there twice; the rows would be taken for different cases.
    """
    columns = _columns(rows)
    by_id: dict[str, Row] = {}
    repeated = set()
    for row in rows:
        case = str(row[ID])
        if case in by_id:
            repeated.add(case)
        by_id[case] = {ID: case}
        for column in columns:
            by_id[case][column] = float(row.get(column, math.nan))
    if repeated:
        raise ValueError(f"The ids {sorted(repeated)} stand in the results more than once.")
    return [by_id[case] for case in sorted(by_id)]


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of all rows except the id, in the order of their first row."""
    columns: dict[str, None] = {}  # a set that keeps its order
    for row in rows:
        columns |= dict.fromkeys(row)
    columns.pop(ID, None)
    return list(columns)


def summarize(rows: Sequence[Mapping[str, Any]]) -> Summary:
    """Column -> statistic -> value over all cases, without NaN (NaN where no case has a value); Std with ddof 0."""
    summary = {}
    for column in _columns(rows):
        values = [float(row.get(column, math.nan)) for row in rows]
        summary[column] = _statistics(values)
    return summary


def undefined_values(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Column -> ids of the cases without a value, which the statistics leave out; columns without such are left out."""
    cases = sorted_rows(rows)
    undefined = {}
    for column in _columns(cases):
        ids = [str(row[ID]) for row in cases if math.isnan(row[column])]
        if ids:
            undefined[column] = ids
    return undefined


def results_table(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows sorted by id, followed by a row for each of STATISTICS."""
    table = sorted_rows(rows)
    summary = summarize(table)
    for statistic in STATISTICS:
        row: Row = {ID: statistic}
        for column, values in summary.items():
            row[column] = values[statistic]
        table.append(row)
    return table


def write_results(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    failed: Mapping[str, str] | None = None,
    derived_from: Mapping[str, Any] | None = None,
) -> Summary:
    """Write results.csv at `path` and the same as JSON beside it (same name, .json); both atomically.

    Args:
        path: of the CSV file.
        rows: a row for each scored case, with its `id`.
        failed: id of each case that could not be scored, and why. They stand in the JSON file only: an invented value
            would falsify the statistics.
        derived_from: what the scores hold for, such as the hash of the weights; in the JSON file only.

    Returns:
        The summary, see `summarize`.
    """
    table = results_table(rows)
    cases = table[: -len(STATISTICS)]
    summary = summarize(cases)
    columns = [ID, *summary]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    failures = [{ID: name, "message": message} for name, message in sorted((failed or {}).items())]
    content: dict[str, Any] = {
        "num_cases": len(cases),
        "num_failed": len(failures),
        "failed": failures,
        "undefined": undefined_values(cases),
        "summary": summary,
        "cases": cases,
    }
    if derived_from is not None:
        content["derived_from"] = dict(derived_from)
    # the JSON file says what the scores hold for, so it comes last: it never vouches for a table that is older
    write_bytes(path, text.getvalue().encode("utf-8"))
    write_json(path.with_suffix(".json"), _without_nan(content))
    return summary


def read_results(path: Path) -> list[Row]:
    """The cases of a results.csv, without its rows of statistics; ids are text.

    Raises:
        ValueError: it is not a regular file, it has no id column, a value is not a finite number, or an id or column
            occurs twice.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a regular file; expected a table of results.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        repeated = sorted({name for name in reader.fieldnames or () if (reader.fieldnames or ()).count(name) > 1})
        if repeated:
            raise ValueError(f"{path} has the columns {repeated} more than once.")
        read = list(reader)
    if not read or ID not in read[0]:
        raise ValueError(f"{path} is not a table of results: it has no column {ID!r} or no rows.")
    last_ids = {row[ID] for row in read[-len(STATISTICS) :]}
    if last_ids == set(STATISTICS):  # in any order: MIST writes the same statistics in another
        read = read[: -len(STATISTICS)]
    rows = []
    for row in read:
        cells = {}
        for name in row:
            cells[name] = _cell(path, row, name)
        rows.append(cells)
    return sorted_rows(rows)


def _cell(path: Path, row: Mapping[str, str | None], name: str) -> str | float:
    text = row[name]
    if name == ID:
        return str(text)
    try:
        value = float(text or math.nan)
    except (TypeError, ValueError):
        value = math.inf
    if math.isinf(value):
        raise ValueError(f"{path}: {row[ID]} has {text!r} in the column {name!r}; expected a number.")
    return value


def _statistics(column: Sequence[float]) -> dict[str, float]:
    values = np.array(column, dtype=np.float64)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return dict.fromkeys(STATISTICS, math.nan)
    low, median, high = np.percentile(values, (25, 50, 75))
    numbers = (values.mean(), values.std(), median, low, high)
    return dict(zip(STATISTICS, map(float, numbers), strict=True))


def _without_nan(value: Any) -> Any:
    """JSON has no NaN; null says the same."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
