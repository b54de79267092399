"""Verbs that set several models side by side: rank, compare, ensemble."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mist_bundle as mb
from mist_bundle.api.arguments import takes
from mist_bundle.api.kinds import FileName
from mist_bundle.cli.words import fail_for, printed_warnings
from mist_bundle.files import PLAN_JSON, refuse_existing, refuse_to_replace
from mist_bundle.runtime.wording import counted

if TYPE_CHECKING:
    from mist_bundle.evaluation.compare import Comparison, Difference
    from mist_bundle.evaluation.rank import Ranking


def _tables_and_bundles(results: Iterable[str]) -> list[Path]:
    """What is read of the runs that a user names; another folder is not a run, and refused as such later."""
    from mist_bundle.pipeline.study import is_study

    paths = map(Path, results)
    return [path for path in paths if path.is_file() or (path / PLAN_JSON).is_file() or is_study(path)]


@takes(mb.rank)
def rank(*results: str, output: FileName = "ranking", overwrite: bool = False, **arguments: Any) -> None:
    """Rank runs as the BraTS challenges do: mean rank over cases, classes and metrics; significance; confidence.

    Args:
        *results: results.csv, results.json or bundle folder of each run, at least two, of the same cases.
        output: folder for ranking.csv, ranks_by_case.csv, significance.csv and ranking.json.
        overwrite: replace an existing folder.
    """
    from mist_bundle.evaluation.rank import RANKING_JSON

    target = Path(output)
    refuse_existing(target, overwrite=overwrite, mark=RANKING_JSON)
    refuse_to_replace(target, _tables_and_bundles(results))
    with printed_warnings():
        ranking = mb.rank(*results, **arguments)
    ranking.write(target, overwrite=overwrite)
    _print_ranking(ranking)
    print(f"Ranking: {target}")


@takes(mb.compare)
def compare(*results: str, output: FileName = "comparison", overwrite: bool = False, **arguments: Any) -> None:
    """Compare runs with the first, case by case; runs of other cases or folds are refused by name.

    Args:
        *results: results.csv, results.json, bundle folder or study of each run; the others are compared to the first.
        output: folder for comparison.csv, differences_by_case.csv and comparison.json.
        overwrite: replace an existing folder.
    """
    from mist_bundle.evaluation.compare import COMPARISON_JSON

    target = Path(output)
    refuse_existing(target, overwrite=overwrite, mark=COMPARISON_JSON)
    refuse_to_replace(target, _tables_and_bundles(results))
    with printed_warnings():
        comparison = mb.compare(*results, **arguments)
    comparison.write(target, overwrite=overwrite)
    _print_comparison(comparison)
    print(f"Comparison: {target}")


@takes(mb.ensemble)
def ensemble(*predictions: str, output: FileName, **arguments: Any) -> None:
    """Combine the predictions of several models, folders of <id>.nii.gz, into a label map for each case.

    Args:
        *predictions: two folders or more of the same cases: label maps, or with --method mean probability maps, such
            as predict --probabilities writes into OUTPUT/probabilities.
        output: folder for <id>.nii.gz and ensemble.json.
    """
    with printed_warnings():
        combined = mb.ensemble(*predictions, output=output, **arguments)
    print(f"{counted(combined.num_written, 'label map')} of {len(predictions)} models: {output}")
    fail_for(combined.problems, combined.num_cases, "not combined")


def _print_ranking(ranking: Ranking) -> None:
    width = max(len(run.name) for run in ranking.standings)
    print(f"{'':>3}  {'':<{width}}  mean rank  95 % interval     first in")
    for run in ranking.standings:
        interval = f"{run.low:.4f} - {run.high:.4f}"
        print(f"{run.place:>3}. {run.name:<{width}}  {run.mean_rank:9.4f}  {interval}  {run.first:8.1%}")
    for pair in ranking.pairs:
        print(
            f"{pair.better} before {pair.worse}: by {pair.difference:.4f}, better in {pair.better_in} and worse in "
            f"{pair.worse_in} of {len(ranking.ids)} cases; p = {_p(pair.p)}, corrected {_p(pair.p_holm)}"
        )


def _print_comparison(comparison: Comparison) -> None:
    first, *others = comparison.runs.names
    width = max(len(difference.column) for difference in comparison.differences)
    for run in others:
        print(f"{run} - {first}, {len(comparison.runs.ids)} cases:")
        for difference in comparison.differences:
            if difference.run == run:
                print(_difference_line(difference, width))
    for run, spread in comparison.runs.spreads.items():
        print(f"{run}: means over several seeds; standard deviation between the seeds:")
        for column, value in spread.items():
            if column in comparison.runs.columns:
                print(f"  {column:<{width}}  ± {value:.4f}")


def _difference_line(column: Difference, width: int) -> str:
    return (
        f"  {column.column:<{width}}  {column.first:.4f} -> {column.other:.4f}  {column.difference:+.4f} "
        f"[{column.low:+.4f}, {column.high:+.4f}]  {column.better} better, {column.worse} worse  "
        f"p = {_p(column.p)}, corrected {_p(column.p_holm)}"
    )


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
