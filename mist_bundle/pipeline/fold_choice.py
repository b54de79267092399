"""The fold of each case: drawn, by a column of the cases' table, or from a file of the user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mist_bundle.dataset.cases import Case, case_column
from mist_bundle.dataset.folds import assign_folds
from mist_bundle.dataset.tables import read_table
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.options import OPTIONS, PlanOptions

FOLD_COLUMN = "fold"


def choose_folds(
    cases: Sequence[Case], options: PlanOptions, fold_by: str | None, fold_file: Path | None
) -> dict[str, int]:
    """The fold of each case by its id.

    Args:
        cases: all that are trained with.
        options: the number of folds and the seed.
        fold_by: column of the cases' table whose values stay together in a fold.
        fold_file: CSV or JSON with the columns id and fold.

    Raises:
        InputError: the file or column is wrong, or there are too few cases or groups.
    """
    ids = [case.id for case in cases]
    if fold_file is not None:
        folds = _read_fold_file(fold_file)
        count = max(folds.values(), default=1) + 1
        if options.folds not in (count, OPTIONS["folds"].default):
            message = f"is {options.folds}, but {fold_file} has the folds 0 to {count - 1}. Leave --folds out."
            raise InputError(Problem("--folds", message))
        return assign_folds(ids, count, options.seed, fold_file=folds)
    groups = None if fold_by is None else case_column(cases, fold_by)
    return assign_folds(ids, options.folds, options.seed, groups=groups)


def _read_fold_file(path: Path) -> dict[str, int]:
    table = read_table(path)
    problems = list(table.problems)
    folds: dict[str, int] = {}
    for row in table.rows:
        value = row.cells.get(FOLD_COLUMN, "")
        if value.isdigit():
            folds[row.id] = int(value)
        else:
            problems.append(Problem(f"{path} {row.place}", f"'fold' is {value!r}; expected 0, 1, 2 …"))
    if problems:
        raise InputError(problems)
    return folds
