"""The results of several runs side by side, and whether they can be compared.

A run is a results.csv, a results.json, or a bundle whose folds were gathered. Runs are only comparable if they scored
the same cases, and two cross-validations only if they share their folds: otherwise a case was held out from other
training cases in one run than in the other. Columns that some run lacks are left out and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mist_bundle.catalog.metrics import LOWER, METRICS
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.evaluation.gather import read_table_of_results
from mist_bundle.files import read_json
from mist_bundle.runtime.metrics.columns import split_columns
from mist_bundle.runtime.metrics.table import ID
from mist_bundle.runtime.wording import list_names

HIGHER = "higher"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSource:
    """Where the scores of a run come from.

    Attributes:
        path: the file or bundle folder as the user names it; the name of the run derives from it.
        table: results.csv or results.json.
        folds: id -> the fold that held the case out; None where unknown.
        labels: class -> its label values, sorted; None where unknown.
        spread: column -> standard deviation between the seeds of a study, whose table holds means over the seeds.
    """

    path: Path
    table: Path
    folds: Mapping[str, int] | None = None
    labels: Mapping[str, tuple[int, ...]] | None = None
    spread: Mapping[str, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The scores of a run.

    Attributes:
        name: of the run, in tables and messages.
        scores: a row per case (the index holds the ids), a column per "<class>_<metric>"; NaN where undefined.
        failed: id of each case that could not be scored -> the reason.
        folds: id -> the fold that held the case out; None where unknown.
        labels: class -> its label values; None where unknown.
        spread: as for `RunSource`.
    """

    name: str
    scores: pd.DataFrame
    failed: Mapping[str, str] = field(default_factory=dict)
    folds: Mapping[str, int] | None = None
    labels: Mapping[str, tuple[int, ...]] | None = None
    spread: Mapping[str, float] | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The scored cases, sorted."""
        return tuple(sorted(self.scores.index))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns "<class>_<metric>", in their order."""
        return tuple(self.scores.columns)


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


def read_runs(sources: Sequence[RunSource], names: Sequence[str] = ()) -> tuple[Run, ...]:
    """Read the scores of several runs.

    Args:
        sources: their tables.
        names: of the runs; by default derived from their files or folders.

    Raises:
        InputError: fewer than two runs, a name that occurs twice, or a table that cannot be read; all problems at once.
    """
    problems = []
    if len(sources) < 2:
        problems.append(Problem("results", f"{len(sources)} given; expected at least two."))
    if names and len(names) != len(sources):
        problems.append(Problem("--names", f"gives {len(names)} names for {len(sources)} results."))
    used = list(names) or _default_names(sources)
    for name in dict.fromkeys(used):
        if name == ID:
            problems.append(Problem("--names", f"{name!r} is the heading of the cases. Choose another name."))
        if used.count(name) > 1:
            problems.append(Problem("--names", f"{name!r} occurs twice."))
    runs = []
    for source, name in zip(sources, used, strict=False):
        with Collecting(problems):
            runs.append(_read_run(source, name))
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
            names = list_names(run.columns)
            problems.append(Problem(run.name, f"has {_columns(run.columns)} {names}, none of them common."))
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


def _read_run(source: RunSource, name: str) -> Run:
    if source.table.suffix.lower() == ".json":
        content = _read_content(source.table)
        rows = content["cases"]
    else:
        rows = read_table_of_results(source.table)
        content = _content_beside(source.table, rows)
    scores = pd.DataFrame(rows)
    if scores.empty or scores.columns.tolist() == [ID]:
        raise InputError(Problem(str(source.table), "holds no scores."))
    scores[ID] = scores[ID].astype(str)
    failed = {}
    for entry in content.get("failed", []):
        failed[str(entry[ID])] = str(entry.get("message", ""))
    return Run(
        name=name,
        scores=scores.set_index(ID).astype(np.float64),
        failed=failed,
        folds=source.folds,
        labels=source.labels,
        spread=source.spread,
    )


def _content_beside(table: Path, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON file beside a results.csv; empty where there is none or where it is about other cases."""
    beside = table.with_suffix(".json")
    if not beside.is_file():
        return {}
    content = _read_content(beside)
    return content if _ids(content["cases"]) == _ids(rows) else {}


def _ids(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(row[ID]) for row in rows}


def _read_content(path: Path) -> dict[str, Any]:
    """A results.json.

    Raises:
        InputError: it has no list of cases, an id occurs twice, or a score is not a number.
    """
    content = read_json(path)
    rows = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise InputError(Problem(str(path), 'is not a JSON file of results: it has no list of "cases".'))
    counts: dict[str, int] = {}
    for row in rows:
        if not isinstance(row, dict) or ID not in row:
            raise InputError(Problem(str(path), f'is not a JSON file of results: an entry of "cases" has no {ID!r}.'))
        counts[str(row[ID])] = counts.get(str(row[ID]), 0) + 1
        for column, value in row.items():
            if column != ID and not isinstance(value, int | float | None):
                raise InputError(Problem(str(path), f"holds a score that is no number: {column} of {row[ID]}."))
    repeated = []
    for name, count in sorted(counts.items()):
        if count > 1:
            repeated.append(name)
    if repeated:
        raise InputError(Problem(str(path), f"holds the ids {repeated} more than once."))
    return dict(content)


def _default_names(sources: Sequence[RunSource]) -> list[str]:
    """The files' own names where they differ, else those of their folders, else both."""
    own, parents, both = [], [], []
    for source in sources:
        path = source.path.absolute()
        if path.is_dir():  # a bundle
            own.append(path.name)
            parents.append(path.name)
            both.append(path.name)
        else:
            own.append(path.stem)
            parents.append(path.parent.name)
            both.append(f"{path.parent.name}/{path.stem}")
    for names in (own, parents, both):
        if len(set(names)) == len(names):
            return names
    return [str(source.path) for source in sources]


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
            message = f"has {_columns(names)} {list_names(names)}, which not every run has; left out of the comparison."
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
    return [Problem(other.name, f"lacks the {_cases(missing)} {list_names(missing)}, which {run.name} has.")]


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
    held_out = f"holds out the {_cases(moved)} {list_names(moved)}"
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
                f"has a value in some runs but not in others for the {_cases(cases)} {list_names(cases)}. Score all "
                "runs by the same rule for empty masks (both_empty=best, one_empty=worst give every case a value)."
            )
            problems.append(Problem(column, message))
    if problems:
        raise InputError(problems)


def _cases(names: Sequence[str]) -> str:
    return "case" if len(names) == 1 else "cases"


def _columns(names: Sequence[str]) -> str:
    return "the column" if len(names) == 1 else "the columns"
