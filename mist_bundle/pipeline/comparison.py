"""The scores of several runs side by side, each a table of results or a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mist_bundle.bundle.folder import Bundle, is_bundle
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import RESULTS_CSV
from mist_bundle.pipeline.study import bundle_of_study, is_study, spread_of

if TYPE_CHECKING:
    from mist_bundle.evaluation.comparable import ComparableRuns
    from mist_bundle.evaluation.runs import RunSource


def comparable_runs(
    results: Sequence[Path],
    names: Sequence[str] = (),
    metrics: Sequence[str] = (),
    directions: Mapping[str, str] | None = None,
) -> ComparableRuns:
    """Read the scores of several runs and check that they can be compared.

    Args:
        results: results.csv, results.json or bundle folder of each run.
        names: of the runs; by default derived from their files or folders.
        metrics: only these columns or metrics, by name or alias; all by default.
        directions: "higher" or "lower" by column or metric, for those that are not on the menu of metrics.

    Raises:
        InputError: a run cannot be read, or the runs cannot be compared; all problems at once.
    """
    from mist_bundle.catalog.metrics import metric_name
    from mist_bundle.evaluation.comparable import comparable
    from mist_bundle.evaluation.runs import read_runs

    problems: list[Problem] = []
    sources = []
    for path in results:
        with Collecting(problems):
            sources.append(run_source(path))
    if problems:
        raise InputError(problems)
    return comparable(read_runs(sources, names), list(map(metric_name, metrics)), directions)


def run_source(path: Path) -> RunSource:
    """The table of a run. Folds and labels are only known for bundles.

    Args:
        path: a table of results, a bundle folder, or the folder of a study of several seeds.

    Raises:
        InputError: the bundle has no results, or its plan or datalist cannot be read.
    """
    from mist_bundle.evaluation.runs import RunSource

    spread = None
    if is_study(path):
        spread = spread_of(path)
        bundle, table = Bundle(bundle_of_study(path)), path / RESULTS_CSV
    elif is_bundle(path):
        bundle = Bundle(path)
        table = bundle.work_dir / RESULTS_CSV
    else:
        return RunSource(path=path, table=path)
    if not table.is_file():
        raise InputError(Problem(str(path), "has no results yet. Run evaluate and finalize on it first."))
    folds = {}
    for case in bundle.datalist.training:
        if case.fold is not None:
            folds[case.id] = case.fold
    labels = {}
    for name, members in bundle.plan.final_classes.items():
        labels[name] = tuple(sorted(members))
    return RunSource(path=path, table=table, folds=folds, labels=labels, spread=spread)
