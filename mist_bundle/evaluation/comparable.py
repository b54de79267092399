"""Whether runs can be compared.

They can only if they scored the same cases, and two cross-validations only if they share their folds: otherwise a case
was held out from other training cases in one run than in the other. Columns that some run lacks are left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mist_bundle.catalog.metrics import HIGHER, LOWER, METRICS
from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.runs import Run
from mist_bundle.runtime.metrics.columns import split_columns
from mist_bundle.runtime.wording import inflected, list_names


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparableRuns:
    """Runs that can be compared.

    Attributes:
        names: of the runs.
        ids: of the cases, sorted.
        columns: in the order of the first run.
        lower: for each column whether lower values are better.
        values: (cases, columns, runs); NaN where a case has no value in any run.
        folds_known: number of runs whose folds are known.
        left_out: a sentence for each run with columns that another run lacks.
        spreads: name of each run that is a study of several seeds -> column -> standard deviation between the seeds.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    columns: tuple[str, ...]
    lower: tuple[bool, ...]
    values: NDArray[np.float64]
    folds_known: int
    left_out: tuple[Problem, ...] = ()
    spreads: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def comparable(
    runs: Sequence[Run], metrics: Sequence[str] = (), directions: Mapping[str, str] | None = None
) -> ComparableRuns:
    """The scores of runs that can be compared.

    Args:
        runs: two or more.
        metrics: only these columns or metrics; all by default.
        directions: "higher" or "lower" by column or metric, for those that are not on the menu of metrics.

    Raises:
        InputError: the runs differ in cases, classes or folds, share no column, or a case failed in one of them; all
            problems at once.
    """
    shared = _shared_columns(runs)
    problems = _incompatibilities(runs)
    if shared:
        chosen, findings = _choose_columns(shared, metrics)
        lower, unknown = _lower_is_better(chosen, split_columns(shared), directions or {})
        problems += [*findings, *unknown]
    else:
        chosen, lower = (), ()
        for run in runs:
            problems.append(Problem(run.name, f"has {_named('column', run.columns)}, none of them common."))
    if problems:
        raise InputError(problems)
    ids = runs[0].ids
    tables = []
    folds_known = 0
    for run in runs:
        tables.append(run.scores.loc[list(ids), list(chosen)].to_numpy(dtype=np.float64))
        folds_known += run.folds is not None
    spreads: dict[str, Mapping[str, float]] = {}
    for run in runs:
        if run.spread is not None:
            spreads[run.name] = run.spread
    values = np.stack(tables, axis=2)
    _check_values(values, ids, chosen)
    return ComparableRuns(
        names=tuple(run.name for run in runs),
        ids=ids,
        columns=chosen,
        lower=lower,
        values=values,
        folds_known=folds_known,
        left_out=_left_out_columns(runs, shared),
        spreads=spreads,
    )


def _shared_columns(runs: Sequence[Run]) -> list[str]:
    """The columns of all runs, in the order of the first."""
    shared = runs[0].scores.columns
    for run in runs[1:]:
        shared = shared[shared.isin(run.scores.columns)]
    names: list[str] = shared.tolist()
    return names


def _left_out_columns(runs: Sequence[Run], shared: Sequence[str]) -> tuple[Problem, ...]:
    left_out = []
    for run in runs:
        names = run.scores.columns.difference(list(shared), sort=False).tolist()
        if names:
            message = f"has {_named('column', names)}, which not every run has; left out of the comparison."
            left_out.append(Problem(run.name, message))
    return tuple(left_out)


def _incompatibilities(runs: Sequence[Run]) -> list[Problem]:
    """Failed cases, and whatever distinguishes a run from the first so that they cannot be compared."""
    problems = []
    for run in runs:
        for case, reason in run.failed.items():
            problems.append(Problem(f"{run.name}: {case}", f"was not scored: {reason}"))
    first = runs[0]
    for other in runs[1:]:
        problems += _missing_cases(first, other)
        problems += _missing_cases(other, first)
        problems += _different_labels(first, other)
        problems += _different_folds(first, other)
    return problems


def _missing_cases(run: Run, other: Run) -> list[Problem]:
    """Cases of a run that the other run neither scored nor reports as failed."""
    missing = sorted(set(run.ids) - set(other.ids) - set(other.failed))
    if not missing:
        return []
    return [Problem(other.name, f"lacks {_named('case', missing)}, which {run.name} has.")]


def _different_labels(first: Run, other: Run) -> list[Problem]:
    problems = []
    for name, labels in (first.labels or {}).items():
        others = (other.labels or {}).get(name, labels)
        if others != labels:
            message = f"the class {name} consists of the labels {list(others)}, in {first.name} of {list(labels)}."
            problems.append(Problem(other.name, message))
    return problems


def _different_folds(first: Run, other: Run) -> list[Problem]:
    if first.folds is None or other.folds is None:
        return []
    common = set(first.ids) & set(other.ids)
    groups = _fold_mates(first.folds, common)
    other_groups = _fold_mates(other.folds, common)
    moved = []
    for case in sorted(groups):
        if groups[case] != other_groups.get(case):
            moved.append(case)
    if not moved:
        return []
    held_out = f"holds out {_named('case', moved)}"
    return [Problem(other.name, f"{held_out} with other cases than {first.name}: other folds.")]


def _fold_mates(folds: Mapping[str, int], cases: set[str]) -> dict[str, set[str]]:
    """For each case all cases of its fold. The numbers of the folds do not matter."""
    members: dict[int, set[str]] = {}
    mates = {}
    for case in cases & set(folds):
        fold = members.setdefault(folds[case], set())
        fold.add(case)
        mates[case] = fold
    return mates


def _choose_columns(columns: Sequence[str], metrics: Sequence[str]) -> tuple[tuple[str, ...], list[Problem]]:
    """The columns that are named or whose metric is named; all of them where `metrics` is empty."""
    metric_of = {}
    for column, (_, metric) in split_columns(columns).items():
        metric_of[column] = metric
    problems = []
    for name in metrics:
        if name not in columns and name not in metric_of.values():
            known = ", ".join(columns)
            message = f"{name!r} is not a column or metric that all of these results have; known: {known}."
            problems.append(Problem("--metrics", message))
    chosen = []
    for column in columns:
        if not metrics or column in metrics or metric_of.get(column) in metrics:
            chosen.append(column)
    return tuple(chosen), problems


def _lower_is_better(
    columns: Sequence[str], split: Mapping[str, tuple[str, str]], directions: Mapping[str, str]
) -> tuple[tuple[bool, ...], list[Problem]]:
    """Whether lower values are better in each column, and a Problem for each column where that is unknown."""
    problems = []
    for name, direction in directions.items():
        if direction not in (HIGHER, LOWER):
            problems.append(Problem("--directions", f"{name} is {direction!r}; expected {HIGHER} or {LOWER}."))
    lower = []
    for column in columns:
        _, metric = split.get(column, ("", ""))
        direction = directions.get(column) or directions.get(metric, "")
        if not direction and metric:
            direction = METRICS[metric].better
        elif not direction:
            example = f'{{"{column}": "{HIGHER}"}}'
            message = (
                f"is not a metric on the menu; say with --directions whether higher or lower is better, like {example}."
            )
            problems.append(Problem(column, message))
        lower.append(direction == LOWER)
    return tuple(lower), problems


def _check_values(values: NDArray[np.float64], ids: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse scores without any value, and columns with values of a case in some runs only.

    Raises:
        InputError: naming the columns and cases.
    """
    undefined = np.isnan(values)
    if undefined.all():
        raise InputError(Problem("results", "hold no value that could be compared."))
    partly = np.asarray(undefined.any(axis=2) & ~undefined.all(axis=2))
    problems = []
    for index, column in enumerate(columns):
        cases = np.array(ids)[partly[:, index]].tolist()
        if cases:
            message = (
                f"has a value in some runs but not in others for {_named('case', cases)}. Score all "
                "runs by the same rule for empty masks (both_empty=best, one_empty=worst give every case a value)."
            )
            problems.append(Problem(column, message))
    if problems:
        raise InputError(problems)


def _named(noun: str, names: Sequence[str]) -> str:
    """Such as "the case a" or "the cases a, b and 12 more"."""
    return f"the {inflected(len(names), noun)} {list_names(names)}"
