"""The fold of each case: drawn, by columns of the cases' table, patterns in the ids, or from a file of the user."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mist_bundle.dataset.cases import Case, CaseList, case_column
from mist_bundle.dataset.fold_table import FoldTable, Volumes, fold_table
from mist_bundle.dataset.folds import assign_folds, leave_one_out
from mist_bundle.dataset.groups import PATIENT, divided_groups, groups_by_pattern, groups_of_copies, joined_groups
from mist_bundle.dataset.tables import read_table
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.options import OPTIONS

FOLD_COLUMN = "fold"
TEST = "test"  # in the column "fold": the case belongs to the fixed test set
CLASSES, VOLUME = "classes", "volume"
_VOLUME_PARTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldRules:
    """How the user wishes cases to be assigned to folds.

    Attributes:
        fold_by: column of the cases' table whose values stay together in a fold.
        group_pattern: regular expression that finds the group of a case in its id; groups stay together.
        leave_out: column of the cases' table, each value of which becomes a fold.
        stratify: "classes", "volume" and columns of the cases' table, of which every fold gets its share.
        fold_file: CSV or JSON with the columns id and fold.
        test_set: COLUMN=VALUE of the labelled cases that no fold trains on or is tested with.
    """

    fold_by: str | None = None
    group_pattern: str | None = None
    leave_out: str | None = None
    stratify: tuple[str, ...] = ()
    fold_file: Path | None = None
    test_set: str | None = None

    @property
    def are_own(self) -> bool:
        """Whether the user decides which cases share a fold, and not only which must."""
        return self.fold_file is not None or self.leave_out is not None

    @property
    def columns(self) -> list[str]:
        """The columns of the cases' table that matter, `fold_by` apart."""
        names = [name for name in self.stratify if name not in (CLASSES, VOLUME)]
        if self.leave_out is not None:
            names.append(self.leave_out)
        return list(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldRequest:
    """Number of folds, seed and rules: all that folds are chosen by, besides the cases."""

    count: int
    seed: int
    rules: FoldRules

    @property
    def is_default(self) -> bool:
        """Whether the user has not asked for any folds in particular."""
        return self.count == OPTIONS["folds"].default and self.rules == FoldRules()


@dataclass(frozen=True, kw_only=True, slots=True)
class Folds:
    """The chosen folds and what they were chosen by.

    Attributes:
        folds: case id -> fold.
        groups: case id -> group that is kept together; None if cases are independent.
        strata: case id -> properties of which every fold gets its share; None for a random split.
        columns: column of the cases' table -> case id -> value, for the columns that matter.
    """

    folds: Mapping[str, int]
    groups: Mapping[str, str] | None = None
    strata: Mapping[str, Sequence[str]] | None = None
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of folds."""
        return 1 + max(self.folds.values())

    def table(self, volumes_ml: Volumes, test_ids: Sequence[str] = ()) -> FoldTable:
        """The table of what each fold holds; see `fold_table`."""
        return fold_table(self.folds, volumes_ml, self.groups, self.columns, test_ids)


def choose_folds(
    cases: Sequence[Case],
    request: FoldRequest,
    copies: Sequence[Sequence[str]] = (),
    volumes_ml: Volumes | None = None,
) -> Folds:
    """The fold of each case.

    Args:
        cases: all that are trained with.
        request: number of folds (unless a file or a column decides), seed, and how they are to be assigned.
        copies: sets of cases that hold the same scan, which are kept together.
        volumes_ml: of each class in each case, to stratify by; None if they are not known yet.

    Raises:
        InputError: a file, column or pattern is wrong, or there are too few cases or groups.
    """
    rules, num_folds, seed = request.rules, request.count, request.seed
    _refuse_contradictions(rules)
    ids = [case.id for case in cases]
    columns = {name: case_column(cases, name) for name in rules.columns}
    groups = _groups(cases, rules, () if rules.are_own else copies)
    strata = _strata(ids, rules, columns, volumes_ml)
    chosen = Folds(folds={}, groups=groups, strata=strata, columns=columns)
    if rules.fold_file is not None:
        folds = read_fold_file(rules.fold_file)
        count = max(folds.values(), default=1) + 1
        _check_count(num_folds, count, str(rules.fold_file))
        chosen = replace(chosen, folds=assign_folds(ids, count, seed, fold_file=folds))
    elif rules.leave_out is not None:
        chosen = replace(chosen, folds=leave_one_out(columns[rules.leave_out]))
        _check_count(num_folds, chosen.count, f"the column {rules.leave_out!r}")
    else:
        drawn = assign_folds(ids, num_folds, seed, groups=groups, strata=strata)
        return replace(chosen, folds=drawn)
    problems = divided_groups(groups, chosen.folds) if groups else []
    if problems:
        raise InputError(problems)
    return chosen


def hold_out(listed: CaseList, rules: FoldRules) -> tuple[CaseList, tuple[Case, ...]]:
    """Split off the fixed test set.

    Args:
        listed: all labelled cases.
        rules: say which of them are the test set: those with `test_set`, or with "test" in the fold file.

    Returns:
        The cases for training, and the test set.

    Raises:
        InputError: the column does not exist, no case or every case is in the test set, or a group is divided.
    """
    test_ids: set[str] = set()
    if rules.test_set is not None:
        test_ids |= _cases_with(listed.cases, rules.test_set)
    if rules.fold_file is not None:
        test_ids |= _test_ids_of_file(rules.fold_file)
    test = tuple(case for case in listed.cases if case.id in test_ids)
    training = tuple(case for case in listed.cases if case.id not in test_ids)
    if not test:
        return listed, ()
    groups = _groups(listed.cases, rules, ())
    if groups is not None:
        parts = {case.id: "test set" if case.id in test_ids else "training set" for case in listed.cases}
        problems = divided_groups(groups, parts, "part")
        if problems:
            raise InputError(problems)
    return replace(listed, cases=training), test


def _cases_with(cases: Sequence[Case], rule: str) -> set[str]:
    """The ids of the cases that a rule COLUMN=VALUE names."""
    column, separator, value = rule.partition("=")
    if not separator or not column.strip() or not value.strip():
        raise InputError(Problem("--test_set", f"is {rule!r}; expected COLUMN=VALUE, like split=test."))
    values = case_column(cases, column.strip())
    chosen = {case_id for case_id, cell in values.items() if cell == value.strip()}
    if not chosen:
        found = ", ".join(sorted(set(values.values())))
        raise InputError(Problem("--test_set", f"is {rule!r}, but {column} holds {found} only."))
    if len(chosen) == len(cases):
        raise InputError(Problem("--test_set", f"is {rule!r}, which all cases have; none is left to train on."))
    return chosen


def _refuse_contradictions(rules: FoldRules) -> None:
    problems = []
    deciding = [name for name in ("fold_file", "leave_out") if getattr(rules, name) is not None]
    if len(deciding) == 2:
        problems.append(Problem("--leave_out", "decides the folds, as --fold_file does; pass one of them."))
    if deciding and rules.stratify:
        problems.append(Problem("--stratify", f"has no effect with --{deciding[0]}, which decides the folds."))
    if problems:
        raise InputError(problems)


def _check_count(num_folds: int, count: int, source: str) -> None:
    if num_folds not in (count, OPTIONS["folds"].default):
        message = f"is {num_folds}, but {source} has the folds 0 to {count - 1}. Leave --folds out."
        raise InputError(Problem("--folds", message))


def _patients(cases: Sequence[Case]) -> dict[str, str]:
    """The patient of each case, from the column of that name; empty where no patient has several cases."""
    patients = {}
    for case in cases:
        if case.extra.get(PATIENT):
            patients[case.id] = case.extra[PATIENT]
    return patients if len(set(patients.values())) < len(patients) else {}


def _groups(cases: Sequence[Case], rules: FoldRules, copies: Sequence[Sequence[str]]) -> dict[str, str] | None:
    ids = [case.id for case in cases]
    groupings: list[Mapping[str, str]] = []
    if rules.fold_by is not None:
        groupings.append(case_column(cases, rules.fold_by))
    elif not rules.are_own and _patients(cases):
        groupings.append(_patients(cases))
    if rules.group_pattern is not None:
        groupings.append(groups_by_pattern(ids, rules.group_pattern))
    if copies:
        groupings.append(groups_of_copies(copies))
    return joined_groups(ids, groupings) if groupings else None


def _strata(
    ids: Sequence[str],
    rules: FoldRules,
    columns: Mapping[str, Mapping[str, str]],
    volumes_ml: Volumes | None,
) -> dict[str, list[str]] | None:
    """The properties of each case of which every fold gets its share; None without --stratify."""
    if not rules.stratify:
        return None
    strata: dict[str, list[str]] = {case_id: [] for case_id in ids}
    for name in rules.stratify:
        if name in columns:
            for case_id in ids:
                strata[case_id].append(f"{name} {columns[name][case_id]}")
        elif volumes_ml is not None and name == CLASSES:
            for case_id in ids:
                strata[case_id] += [f"class {key}" for key, volume in volumes_ml[case_id].items() if volume]
        elif volumes_ml is not None:
            for case_id, part in _volume_parts(ids, volumes_ml).items():
                strata[case_id].append(f"volume {part}")
    return strata


def _volume_parts(ids: Sequence[str], volumes_ml: Volumes) -> dict[str, int]:
    """The quarter of the cases, by the volume of all classes, that a case belongs to."""
    totals = [math.fsum(volumes_ml[case_id].values()) for case_id in ids]
    ranks = np.argsort(np.argsort(totals, kind="stable"))
    return {case_id: int(rank) * _VOLUME_PARTS // len(ids) for case_id, rank in zip(ids, ranks, strict=True)}


def read_fold_file(path: Path) -> dict[str, int]:
    """The fold of each case of a file; cases of the test set are left out.

    Raises:
        InputError: the file is not a table, or a fold is neither a number nor "test".
    """
    table = read_table(path)
    problems = list(table.problems)
    folds: dict[str, int] = {}
    for row in table.rows:
        value = row.cells.get(FOLD_COLUMN, "")
        if value.isdigit():
            folds[row.id] = int(value)
        elif value != TEST:
            problems.append(Problem(f"{path} {row.place}", f"'fold' is {value!r}; expected 0, 1, 2 … or {TEST}."))
    if problems:
        raise InputError(problems)
    return folds


def _test_ids_of_file(path: Path) -> set[str]:
    return {row.id for row in read_table(path).rows if row.cells.get(FOLD_COLUMN) == TEST}
