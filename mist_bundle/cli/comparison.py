"""Verbs that set several models side by side: rank, compare, ensemble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mist_bundle.cli.kinds import Count, Directions, FileName, Labels, Seed, Words, Workers
from mist_bundle.cli.words import bundle_folder, fail_for, warn
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.values import Word

if TYPE_CHECKING:
    from mist_bundle.evaluation.compare import Comparison
    from mist_bundle.evaluation.ensemble import Channels
    from mist_bundle.evaluation.rank import Ranking
    from mist_bundle.evaluation.runs import ComparableRuns

# Heavy imports stand inside the verbs, so that --help answers at once.


def rank(
    *results: str,
    output: FileName = "ranking",
    names: Words | None = None,
    metrics: Words | None = None,
    directions: Directions | None = None,
    resamples: Count = 10_000,
    seed: Seed = 0,
    overwrite: bool = False,
) -> None:
    """Rank runs as the BraTS challenges do: mean rank over cases, classes and metrics; significance; confidence.

    Args:
        *results: results.csv, results.json or bundle folder of each run, at least two, of the same cases.
        output: folder to make: ranking.csv, ranks_by_case.csv, significance.csv, ranking.json.
        names: comma-separated names of the runs; by default those of their files or folders.
        metrics: only these metrics or columns (dice,hd95 or tumor_dice); all by default.
        directions: JSON: higher or lower by column or metric that the menu does not know, {"my_score": "higher"}.
        resamples: draws of cases behind the confidence intervals.
        seed: of the draws.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.evaluation.rank import rank_runs
    from mist_bundle.files import refuse_existing

    target = Path(output)
    refuse_existing(target, overwrite=overwrite)
    runs = _comparable(results, names, metrics, directions)
    ranking = rank_runs(runs, resamples=resamples, seed=seed)
    ranking.write(target, overwrite=overwrite)
    for line in _ranking_lines(ranking):
        print(line)
    _say_folds(runs)
    print(f"Ranking: {target}")


def compare(
    *results: str,
    output: FileName = "comparison",
    names: Words | None = None,
    metrics: Words | None = None,
    directions: Directions | None = None,
    resamples: Count = 10_000,
    seed: Seed = 0,
    overwrite: bool = False,
) -> None:
    """Compare runs with the first one, case by case; runs of other cases or folds are refused, and it says which.

    Args:
        *results: results.csv, results.json or bundle folder of each run; the first is what the others are compared to.
        output: folder to make: comparison.csv, differences_by_case.csv, comparison.json.
        names: comma-separated names of the runs; by default those of their files or folders.
        metrics: only these metrics or columns (dice,hd95 or tumor_dice); all by default.
        directions: JSON: higher or lower by column or metric that the menu does not know, {"my_score": "higher"}.
        resamples: draws of cases behind the confidence intervals.
        seed: of the draws.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.evaluation.compare import compare_runs
    from mist_bundle.files import refuse_existing

    target = Path(output)
    refuse_existing(target, overwrite=overwrite)
    runs = _comparable(results, names, metrics, directions)
    comparison = compare_runs(runs, resamples=resamples, seed=seed)
    comparison.write(target, overwrite=overwrite)
    for line in _comparison_lines(comparison):
        print(line)
    _say_folds(runs)
    print(f"Comparison: {target}")


def ensemble(
    *predictions: str,
    output: FileName,
    method: Annotated[str, Word(choices=("majority", "staple", "mean"), what="method")] = "majority",
    ties: Annotated[str, Word(choices=("first", "background"), what="rule")] = "first",
    labels: Labels | None = None,
    bundle: FileName | None = None,
    workers: Workers | None = None,
    overwrite: bool = False,
) -> None:
    """Combine the predictions of several models, folders of <id>.nii.gz, into one label map for each case.

    Args:
        *predictions: two folders or more of the same cases: label maps, or with --method mean probability maps, such
            as predict --probabilities writes into OUTPUT/probabilities.
        output: folder to make: <id>.nii.gz and ensemble.json.
        method: majority, staple or mean (of probabilities).
        ties: where votes tie: first takes the tied label of the folder that was named first, background takes 0.
        labels: with mean: the label of each channel, like 0,1,2.
        bundle: with mean: the bundle that predicted, whose labels (or regions) the channels are.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.evaluation.ensemble import EnsembleSettings, ensemble_folders

    settings = EnsembleSettings(method=method, ties=ties, channels=_channels(labels, bundle))
    folders = [Path(folder) for folder in predictions]
    target = Path(output)
    made = ensemble_folders(folders, target, settings, workers, overwrite=overwrite)
    print(f"{made.num_written} label maps of {len(folders)} models: {target}")
    fail_for(made.problems, made.num_cases, "not combined")


def _comparable(
    results: Sequence[str],
    names: Sequence[str] | None,
    metrics: Sequence[str] | None,
    directions: Mapping[str, str] | None,
) -> ComparableRuns:
    from mist_bundle import pipeline

    runs = pipeline.comparable_runs([Path(result) for result in results], names or (), metrics or (), directions)
    warn(runs.left_out)
    return runs


def _channels(labels: Any, bundle: str | None) -> Channels | None:
    from mist_bundle import pipeline
    from mist_bundle.evaluation.ensemble import Channels

    if labels is not None and bundle is not None:
        raise InputError(Problem("--labels, --bundle", "say the same; give one of them."))
    if bundle is not None:
        return pipeline.probability_channels(bundle_folder(bundle))
    return None if labels is None else Channels(labels=labels)


def _ranking_lines(ranking: Ranking) -> list[str]:
    width = max(len(one.name) for one in ranking.standings)
    lines = [f"{'':>3}  {'':<{width}}  mean rank  95 % interval     first in"]
    lines += [
        f"{one.place:>3}. {one.name:<{width}}  {one.mean_rank:9.4f}  {one.low:.4f} - {one.high:.4f}  {one.first:8.1%}"
        for one in ranking.standings
    ]
    return lines + [
        f"{pair.better} before {pair.worse}: by {pair.difference:.4f}, better in {pair.better_in} and worse in "
        f"{pair.worse_in} of {len(ranking.ids)} cases; p = {_p(pair.p)}, corrected {_p(pair.p_holm)}"
        for pair in ranking.pairs
    ]


def _comparison_lines(comparison: Comparison) -> list[str]:
    first = comparison.runs.names[0]
    width = max(len(one.column) for one in comparison.differences)
    lines = []
    for run in comparison.runs.names[1:]:
        lines.append(f"{run} - {first}, {len(comparison.runs.ids)} cases:")
        lines += [
            f"  {one.column:<{width}}  {one.first:.4f} -> {one.other:.4f}  {one.difference:+.4f} "
            f"[{one.low:+.4f}, {one.high:+.4f}]  {one.better} better, {one.worse} worse  "
            f"p = {_p(one.p)}, corrected {_p(one.p_holm)}"
            for one in comparison.differences
            if one.run == run
        ]
    return lines


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def _say_folds(runs: ComparableRuns) -> None:
    if runs.folds_known < len(runs.names):
        print(
            "Folds were not compared: a table of scores does not tell them. Give bundle folders to have them checked."
        )
