"""Gather the scores of all folds in a single table, and name every case that no fold scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json
from mist_bundle.runtime.metrics.table import ID, read_results, write_results

__all__ = ["NOT_SCORED", "failed_cases", "gather_folds", "read_table_of_results", "write_results"]

NOT_SCORED = "was not scored in its fold."


def gather_folds(tables: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of several results.csv, without their statistics.

    Raises:
        InputError: a table is missing, or a case is in two of them.
    """
    missing = []
    for path in tables:
        if not path.is_file():
            missing.append(Problem(str(path), "is not there. Train and evaluate this fold first."))
    if missing:
        raise InputError(missing)
    rows: dict[str, dict[str, Any]] = {}
    problems = []
    for path in tables:
        for row in read_table_of_results(path):
            case = str(row[ID])
            if case in rows:
                problems.append(Problem(str(path), f"{case} is in another fold too."))
            rows[case] = row
    if problems:
        raise InputError(problems)
    return list(rows.values())


def failed_cases(tables: Sequence[Path], rows: Sequence[Mapping[str, Any]], expected: Sequence[str]) -> dict[str, str]:
    """Cases without scores -> the reason.

    Args:
        tables: results.csv of each fold; the JSON file beside it names its failed cases.
        rows: the scored cases.
        expected: ids of all cases.
    """
    reasons: dict[str, str] = {}
    for path in tables:
        beside = path.with_suffix(".json")
        if beside.is_file():
            for entry in read_json(beside).get("failed", []):
                reasons[entry[ID]] = entry["message"]
    scored = {str(row[ID]) for row in rows}
    failed = {}
    for case in expected:
        if case not in scored:
            failed[case] = reasons.get(case, NOT_SCORED)
    return failed


def read_table_of_results(path: Path) -> list[dict[str, Any]]:
    """The cases of a results.csv; like `read_results`, but raises InputError for a file of the user.

    Raises:
        InputError: the file cannot be read or is not a table of results.
    """
    try:
        return read_results(path)
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), f"is not UTF-8 text ({error.reason}).")) from error
    except ValueError as error:
        raise InputError(Problem(str(path), f"cannot be used: {error}")) from error
