"""Put the scores of all folds into one table; a case that no fold scored is named, never passed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json
from mist_bundle.runtime.metrics.table import read_results, write_results

__all__ = ["failed_cases", "gather_folds", "read_table_of_results", "write_results"]

NOT_SCORED = "was not scored in its fold."


def gather_folds(tables: Sequence[Path]) -> list[dict[str, Any]]:
    """The rows of several results.csv, without their statistics.

    Raises:
        InputError: a table is missing, or a case stands in two of them.
    """
    missing = [
        Problem(str(path), "is not there. Train and evaluate this fold first.") for path in tables if not path.is_file()
    ]
    if missing:
        raise InputError(missing)
    rows: dict[str, dict[str, Any]] = {}
    problems = []
    for path in tables:
        for row in read_table_of_results(path):
            identity = str(row["id"])
            if identity in rows:
                problems.append(Problem(str(path), f"case {identity} is in another fold too."))
            rows[identity] = row
    if problems:
        raise InputError(problems)
    return list(rows.values())


def failed_cases(tables: Sequence[Path], rows: Sequence[Mapping[str, Any]], expected: Sequence[str]) -> dict[str, str]:
    """Cases that should have been scored and were not, and why.

    Args:
        tables: results.csv of each fold; the JSON file beside it names its failed cases.
        rows: the cases that were scored.
        expected: ids of all cases.
    """
    known: dict[str, str] = {}
    for path in tables:
        beside = path.with_suffix(".json")
        if beside.is_file():
            known.update({one["id"]: one["message"] for one in read_json(beside).get("failed", [])})
    scored = {str(row["id"]) for row in rows}
    return {identity: known.get(identity, NOT_SCORED) for identity in expected if identity not in scored}


def read_table_of_results(path: Path) -> list[dict[str, Any]]:
    """`read_results` for what users hand in.

    Raises:
        InputError: the file cannot be read or is no table of results.
    """
    try:
        return read_results(path)
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read ({error.strerror or error}).")) from error
    except UnicodeDecodeError as error:
        raise InputError(Problem(str(path), f"is not UTF-8 text ({error.reason}).")) from error
    except ValueError as error:
        raise InputError(Problem(str(path), f"cannot be used: {error}")) from error
