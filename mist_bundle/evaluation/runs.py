"""The results of several runs side by side, and whether they can be compared at all.

A run is a results.csv, a results.json, or a bundle whose folds were gathered. Only runs that scored the same cases say
anything about each other, and of two cross-validations only those with the same folds: otherwise a case was held out
from other training cases in one run than in the other. Columns that not every run has are left out and named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.catalog.metrics import LOWER, METRICS
from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.gather import read_table_of_results
from mist_bundle.files import DATALIST_JSON, PLAN_JSON, RESULTS_CSV, read_json, work_dir_of
from mist_bundle.runtime.metrics.columns import split_columns
from mist_bundle.runtime.metrics.table import ID

_MOST_NAMED = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The scores of one run.

    Attributes:
        name: what people call it.
        scores: id -> column -> value; NaN where it is not defined.
        failed: id of each case that could not be scored, and why.
        folds: id -> the fold that held the case out; None where that is not known.
        labels: class -> its label values; None where they are not known.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    failed: Mapping[str, str] = field(default_factory=dict)
    folds: Mapping[str, int] | None = None
    labels: Mapping[str, tuple[int, ...]] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns "<class>_<metric>", in their order."""
        return tuple(next(iter(self.scores.values())))


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparableRuns:
    """Runs that can be compared.

    Attributes:
        names: of the runs.
        ids: of the cases, sorted.
        columns: in the order of the first run.
        lower: for each column whether a lower value is the better one.
        values: (cases, columns, runs); NaN where a case has no value in any run.
        folds_known: how many of the runs know their folds.
        left_out: a sentence for each run with columns that another one lacks: they are not compared.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    columns: tuple[str, ...]
    lower: tuple[bool, ...]
    values: NDArray[np.float64]
    folds_known: int
    left_out: tuple[Problem, ...] = ()


def read_runs(sources: Sequence[Path], names: Sequence[str] = ()) -> tuple[Run, ...]:
    """Read several runs.

    Args:
        sources: results.csv, results.json or bundle folder of each.
        names: of the runs; by default those of their files or folders.

    Raises:
        InputError: there are fewer than two, a name stands there twice, or one cannot be read; all that is wrong.
    """
    problems = []
    if len(sources) < 2:
        problems.append(Problem("results", f"{len(sources)} were given; expected at least two."))
    if names and len(names) != len(sources):
        problems.append(Problem("--names", f"gives {len(names)} names for {len(sources)} results."))
    used = list(names) or _default_names(sources)
    problems += [
        Problem("--names", f"{name!r} stands there twice.")
        for name in dict.fromkeys(used)
        if name and used.count(name) > 1
    ]
    runs = []
    for source, name in zip(sources, used, strict=False):
        try:
            runs.append(_read_run(source, name))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return tuple(runs)


def comparable(
    runs: Sequence[Run], metrics: Sequence[str] = (), directions: Mapping[str, str] | None = None
) -> ComparableRuns:
    """The scores of runs that can be compared.

    Args:
        runs: two or more.
        metrics: only these columns or metrics; all by default.
        directions: "higher" or "lower" by column or metric, for those that the menu of metrics does not know.

    Raises:
        InputError: the runs differ in cases, classes or folds, they share no column, or a case failed in one; all that
            differs.
    """
    first = runs[0]
    problems = [problem for run in runs for problem in _failures(run)]
    for other in runs[1:]:
        problems += _differences(first, other)
    shared = [column for column in first.columns if all(column in run.columns for run in runs)]
    columns, lower, findings = _chosen_columns(shared, metrics if shared else (), directions or {})
    problems += findings
    if not shared:
        problems += [Problem(run.name, f"has {_some(run.columns, 'column')}, none of them common.") for run in runs]
    if problems:
        raise InputError(problems)
    ids = tuple(sorted(first.scores))
    values = np.array([[[run.scores[one][column] for run in runs] for column in columns] for one in ids])
    undefined = np.isnan(values)
    if undefined.all():
        raise InputError(Problem("results", "hold no value that could be compared."))
    partly = undefined.any(axis=2) & ~undefined.all(axis=2)
    if partly.any():
        wrong = np.flatnonzero(partly.any(axis=0)).tolist()
        raise InputError([_partly_undefined(columns[one], ids, undefined[:, one]) for one in wrong])
    return ComparableRuns(
        names=tuple(run.name for run in runs),
        ids=ids,
        columns=columns,
        lower=lower,
        values=values,
        folds_known=sum(run.folds is not None for run in runs),
        left_out=tuple(_left_out(run, shared) for run in runs if set(run.columns) - set(shared)),
    )


def _read_run(source: Path, name: str) -> Run:
    if (source / "configs").is_dir():
        table = work_dir_of(source) / RESULTS_CSV
        if not table.is_file():
            raise InputError(Problem(str(source), "has no results yet. Run evaluate and finalize on it first."))
        folds = {str(entry[ID]): int(entry["fold"]) for entry in read_json(source / DATALIST_JSON)["training"]}
        classes = read_json(source / PLAN_JSON)["final_classes"]
        labels = {str(one): tuple(sorted(members)) for one, members in classes.items()}
    else:
        table, folds, labels = source, None, None
    if table.suffix.lower() == ".json":
        content = _read_content(table)
        rows = content["cases"]
    else:
        rows = read_table_of_results(table)
        beside = table.with_suffix(".json")
        content = _read_content(beside) if beside.is_file() else {}
        if {str(row[ID]) for row in content.get("cases", rows)} != {str(row[ID]) for row in rows}:
            content = {}  # of other results
    scores = {str(row[ID]): {key: _number(value) for key, value in row.items() if key != ID} for row in rows}
    if not scores or not next(iter(scores.values())):
        raise InputError(Problem(str(table), "holds no scores."))
    failed = {str(one[ID]): str(one.get("message", "")) for one in content.get("failed", [])}
    return Run(name=name, scores=scores, failed=failed, folds=folds, labels=labels)


def _read_content(path: Path) -> dict[str, Any]:
    content = read_json(path)
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list) or not all(isinstance(row, dict) and ID in row for row in cases):
        raise InputError(Problem(str(path), 'is no JSON file of results: it has no list of "cases".'))
    ids = [str(row[ID]) for row in cases]
    if repeated := sorted({one for one in ids if ids.count(one) > 1}):
        raise InputError(Problem(str(path), f"holds the ids {repeated} more than once."))
    if any(not isinstance(value, int | float | None) for row in cases for key, value in row.items() if key != ID):
        raise InputError(Problem(str(path), "holds a score that is no number."))
    return dict(content)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _default_names(sources: Sequence[Path]) -> list[str]:
    """The files' own names where they tell the runs apart, else those of their folders, else both."""
    plain = [source.absolute() for source in sources]
    for names in (
        [path.name if path.is_dir() else path.stem for path in plain],
        [path.name if path.is_dir() else path.parent.name for path in plain],
        [path.name if path.is_dir() else f"{path.parent.name}/{path.stem}" for path in plain],
    ):
        if len(set(names)) == len(names):
            return names
    return [str(source) for source in sources]


def _failures(run: Run) -> list[Problem]:
    return [Problem(f"{run.name}: {name}", f"was not scored: {message}") for name, message in run.failed.items()]


def _left_out(run: Run, shared: Sequence[str]) -> Problem:
    names = [column for column in run.columns if column not in shared]
    return Problem(run.name, f"has {_some(names, 'column')}, which not every run has; left out of the comparison.")


def _differences(first: Run, other: Run) -> list[Problem]:
    """What keeps two runs from being compared."""
    problems = []
    for one, two in ((first, other), (other, first)):
        lacking = sorted(set(one.scores) - set(two.scores) - set(two.failed))
        if lacking:
            problems.append(Problem(two.name, f"lacks {_some(lacking, 'case')}, which {one.name} has."))
    for name in first.labels or {}:
        others = (other.labels or {}).get(name)
        if others is not None and first.labels is not None and others != first.labels[name]:
            found = f"{list(others)}, in {first.name} of {list(first.labels[name])}"
            problems.append(Problem(other.name, f"the class {name} consists of the labels {found}."))
    return problems + _other_folds(first, other)


def _other_folds(first: Run, other: Run) -> list[Problem]:
    if first.folds is None or other.folds is None:
        return []
    mates = [_fold_mates(run.folds or {}, set(first.scores) & set(other.scores)) for run in (first, other)]
    moved = sorted(name for name, together in mates[0].items() if mates[1].get(name) != together)
    if not moved:
        return []
    return [Problem(other.name, f"holds out {_some(moved, 'case')} with other cases than {first.name}: other folds.")]


def _fold_mates(folds: Mapping[str, int], cases: set[str]) -> dict[str, frozenset[str]]:
    """The cases that are held out together with each case; the numbers of the folds mean nothing."""
    members: dict[int, set[str]] = {}
    for name in cases & set(folds):
        members.setdefault(folds[name], set()).add(name)
    return {name: frozenset(together) for together in members.values() for name in together}


def _chosen_columns(
    known: Sequence[str], wanted: Sequence[str], directions: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[bool, ...], list[Problem]]:
    """The columns that are named or whose metric is (all where nothing is named), and whether lower is better."""
    metrics = {column: metric for column, (_, metric) in split_columns(known).items()}
    problems = [
        Problem("--directions", f"{name} is {value!r}; expected higher or lower.")
        for name, value in directions.items()
        if value not in ("higher", LOWER)
    ]
    problems += [
        Problem("--metrics", f"{name!r} is no column and no metric of all these results; known: {', '.join(known)}.")
        for name in wanted
        if name not in known and name not in metrics.values()
    ]
    chosen = tuple(one for one in known if not wanted or one in wanted or metrics.get(one) in wanted)
    lower = []
    for column in chosen:
        metric = metrics.get(column)
        given = directions.get(column, directions.get(metric or ""))
        if given is None and metric is None:
            message = f'is no metric on the menu; say with --directions whether higher or lower is better, like \
{{"{column}": "higher"}}.'
            problems.append(Problem(column, message))
        lower.append((given or (METRICS[metric].better if metric else "")) == LOWER)
    return chosen, tuple(lower), problems


def _partly_undefined(column: str, ids: Sequence[str], undefined: NDArray[np.bool_]) -> Problem:
    partly = undefined.any(axis=1) & ~undefined.all(axis=1)
    cases = [ids[index] for index in np.flatnonzero(partly).tolist()]
    message = (
        f"has a value in some runs and none in others for {_some(cases, 'case')}. Score all runs by the same rule "
    )
    return Problem(column, message + "for empty masks (both_empty=best, one_empty=worst never leave one out).")


def _some(names: Sequence[str], what: str) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"the {what}{'s' if len(names) > 1 else ''} {', '.join(names[:_MOST_NAMED])}{more}"
