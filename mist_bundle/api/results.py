"""Functions about predictions of any origin: score, post-process, compare, rank and combine them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mist_bundle.api.arguments import checked, takes
from mist_bundle.api.bundle import Bundle
from mist_bundle.api.kinds import (
    METRICS,
    SCORING,
    AnyPath,
    ClassesOrFile,
    Count,
    Directions,
    FileName,
    Labels,
    Seed,
    Weights,
    Words,
    Workers,
)
from mist_bundle.api.paths import optional_path
from mist_bundle.api.scoring import scoring_of
from mist_bundle.api.warn import warn
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.values import Whole, Word

if TYPE_CHECKING:
    from mist_bundle.evaluation.comparable import ComparableRuns
    from mist_bundle.evaluation.compare import Comparison
    from mist_bundle.evaluation.ensemble import Channels, Ensembled
    from mist_bundle.evaluation.pairs import Classes
    from mist_bundle.evaluation.postprocess import Postprocessed
    from mist_bundle.evaluation.rank import Ranking
    from mist_bundle.evaluation.score import ScoredCases

# Heavy imports stand inside the functions, so that the command line answers --help at once.


@checked
@takes(SCORING)
def evaluate(
    reference: FileName | None = None,
    prediction: FileName | None = None,
    classes: ClassesOrFile | None = None,
    *,
    paths: FileName | None = None,
    labels: Labels | None = None,
    ignore_label: Annotated[int, Whole()] | None = None,
    workers: Workers | None = None,
    **scoring: Any,
) -> ScoredCases:
    """Score any label maps against their references.

    Args:
        reference: folder of reference label maps, or a dataset.json; with --prediction instead of --paths.
        prediction: folder of predicted label maps, <id>.nii.gz.
        classes: JSON file: class name to list of labels (or a dataset.json, whose final_classes are taken; by
            default the dataset.json that --reference names).
        paths: CSV or JSON with the columns id, mask, prediction.
        labels: all label values that may occur (0,1,2); by default those of the dataset.json, if any.
        ignore_label: value in the reference of voxels that do not count; by default that of the dataset.json.
        workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
        **scoring: metrics, metric_options, both_empty, one_empty, empty_distance_mm.

    Returns:
        The scores of each case; `.write(path)` writes results.csv.
    """
    from mist_bundle.evaluation.pairs import find_pairs
    from mist_bundle.evaluation.score import score_files, settings_from

    how = scoring_of(scoring)
    settings = settings_from(_classes(classes, reference, labels, ignore_label), *how)
    scored = score_files(
        find_pairs(optional_path(paths), optional_path(reference), optional_path(prediction)), settings, workers
    )
    warn(scored.warnings)
    return scored


@checked
@takes(METRICS)
def postprocess(
    predictions: FileName,
    strategy: FileName,
    output: FileName,
    *,
    reference: FileName | None = None,
    classes: ClassesOrFile | None = None,
    labels: Labels | None = None,
    ignore_label: Annotated[int, Whole()] | None = None,
    weights: Weights | None = None,
    workers: Workers | None = None,
    overwrite: bool = False,
    **scoring: Any,
) -> Postprocessed:
    """Post-process label maps; with references, score them before and after and weigh the change.

    Args:
        predictions: folder of <id>.nii.gz.
        strategy: JSON file of steps; `mist-bundle postprocessing` lists the operations.
        output: folder for predictions/ and strategy.json; with references also baseline.csv, results.csv and
            change.json.
        reference: folder of reference label maps, or a dataset.json.
        classes: JSON file: class name to list of labels; by default the final_classes of the dataset.json.
        labels: all label values that may occur (0,1,2); by default those of the dataset.json, if any.
        ignore_label: value in the reference of voxels that do not count; by default that of the dataset.json.
        weights: JSON: metric to weight, such as {"dice": 2, "hd95": 1}; equal by default.
        workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
        overwrite: replace an existing folder.
        **scoring: metrics and metric_options.
    """
    from mist_bundle.evaluation.pairs import find_pairs
    from mist_bundle.evaluation.postprocess import load_strategy, postprocess_and_score, postprocess_folder
    from mist_bundle.evaluation.score import settings_from

    steps, target = load_strategy(Path(strategy)), Path(output)
    how = scoring_of(scoring)
    if reference is None:
        processed = postprocess_folder(Path(predictions), steps, target, workers, overwrite=overwrite)
    else:
        settings = settings_from(_classes(classes, reference, labels, ignore_label), *how)
        pairs = find_pairs(None, Path(reference), Path(predictions))
        processed = postprocess_and_score(pairs, steps, target, settings, weights, workers, overwrite=overwrite)
    warn(processed.warnings)
    return processed


@checked
def compare(
    *results: AnyPath | Bundle,
    names: Words | None = None,
    metrics: Words | None = None,
    directions: Directions | None = None,
    resamples: Count = 10_000,
    seed: Seed = 0,
) -> Comparison:
    """Compare runs with the first, case by case; runs of other cases or folds are refused by name.

    Args:
        *results: results.csv, results.json, bundle folder or study of each run; the others are compared to the first.
        names: names of the runs, separated by commas; by default those of their files or folders.
        metrics: only these metrics or columns (dice,hd95 or tumor_dice); all by default.
        directions: JSON: higher or lower by column or metric that the menu does not know, {"my_score": "higher"}.
        resamples: draws of cases behind the confidence intervals.
        seed: seed of the draws.
    """
    from mist_bundle.evaluation.compare import compare_runs

    return compare_runs(_comparable(results, names, metrics, directions), resamples=resamples, seed=seed)


@checked
@takes(compare)
def rank(*results: AnyPath | Bundle, **options: Any) -> Ranking:
    """Rank runs as the BraTS challenges do: mean rank over cases, classes and metrics; significance; confidence.

    Args:
        *results: results.csv, results.json or bundle folder of each run, at least two, of the same cases.
        **options: as for `compare`: names, metrics, directions, resamples, seed.
    """
    from mist_bundle.evaluation.rank import rank_runs

    draws = {name: options.pop(name) for name in ("resamples", "seed") if name in options}
    return rank_runs(_comparable(results, **options), **draws)


@checked
def ensemble(
    *predictions: AnyPath,
    output: FileName,
    method: Annotated[str, Word(choices=("majority", "staple", "mean"), what="method")] = "majority",
    ties: Annotated[str, Word(choices=("first", "background"), what="rule")] = "first",
    labels: Labels | None = None,
    bundle: FileName | None = None,
    workers: Workers | None = None,
    overwrite: bool = False,
) -> Ensembled:
    """Combine the predictions of several models, folders of <id>.nii.gz, into a label map for each case.

    Args:
        *predictions: two folders or more of the same cases: label maps, or with --method mean probability maps, such
            as predict --probabilities writes into OUTPUT/probabilities.
        output: folder for <id>.nii.gz and ensemble.json.
        method: majority, staple or mean (of probabilities).
        ties: where votes tie: first takes the tied label of the folder that was named first, background takes 0.
        labels: with mean: the label of each channel, like 0,1,2.
        bundle: with mean: the bundle that predicted, whose labels (or regions) the channels are.
        workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
        overwrite: replace an existing folder.
    """
    from mist_bundle.evaluation.ensemble import EnsembleSettings, ensemble_folders

    settings = EnsembleSettings(method=method, ties=ties, channels=_channels(labels, bundle))
    combined = ensemble_folders(list(map(Path, predictions)), Path(output), settings, workers, overwrite=overwrite)
    warn(combined.warnings)
    return combined


def _classes(
    classes: ClassesOrFile | None, reference: AnyPath | None, labels: Sequence[int] | None, ignore_label: int | None
) -> Classes:
    """The classes to score: as `classes` says, or the dataset.json that `reference` names."""
    from mist_bundle.evaluation.pairs import Classes, read_classes

    values = None if labels is None else tuple(labels)
    if isinstance(classes, Mapping):
        final_classes = {name: tuple(of_class) for name, of_class in classes.items()}
        return Classes(final_classes=final_classes, labels=values, ignore_label=ignore_label)
    is_dataset = reference is not None and str(reference).endswith(".json")
    source = reference if classes is None and is_dataset else classes
    return read_classes(optional_path(source), values, ignore_label)


def _comparable(
    results: Sequence[AnyPath | Bundle],
    names: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    directions: Mapping[str, str] | None = None,
) -> ComparableRuns:
    from mist_bundle import pipeline

    paths = []
    for result in results:
        paths.append(result.root if isinstance(result, Bundle) else Path(result))
    runs = pipeline.comparable_runs(paths, names or (), metrics or (), directions)
    warn(runs.left_out)
    if runs.folds_known < len(runs.names):
        message = "were not compared: a table of scores does not hold them. Name bundle folders to have them checked."
        warn([Problem("folds", message)])
    return runs


def _channels(labels: Sequence[int] | None, bundle: AnyPath | None) -> Channels | None:
    from mist_bundle import pipeline
    from mist_bundle.evaluation.ensemble import Channels

    if labels is not None and bundle is not None:
        raise InputError(Problem("--labels, --bundle", "say the same; choose one."))
    if bundle is not None:
        return pipeline.probability_channels(Bundle(bundle).root)
    return None if labels is None else Channels(labels=tuple(labels))
