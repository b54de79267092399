"""The scores of runs: a results.csv, a results.json, or a bundle whose folds were gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.evaluation.gather import read_table_of_results
from mist_bundle.files import read_json
from mist_bundle.runtime.metrics.table import ID


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
                raise InputError(Problem(str(path), f"holds a score that is not a number: {column} of {row[ID]}."))
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
