"""Verbs that score predictions and improve them: evaluate, postprocess, choose_postprocessing."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mist_bundle.cli.kinds import Device, FileName, Folds, Fraction, Labels, MetricOptions, Weights, Words, Workers
from mist_bundle.cli.scores import score_lines
from mist_bundle.cli.words import absolute, bundle_folder, fail_for, fold_numbers, heading, optional_path, warn
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.settings import SETTINGS
from mist_bundle.runtime.values import did_you_mean

if TYPE_CHECKING:
    from mist_bundle.evaluation.change import Change
    from mist_bundle.evaluation.pairs import Classes
    from mist_bundle.evaluation.score import ScoreSettings

# Heavy imports stand inside the verbs, so that --help answers at once.


def evaluate(
    bundle: FileName | None = None,
    fold: Folds = "all",
    paths: FileName | None = None,
    reference: FileName | None = None,
    prediction: FileName | None = None,
    classes: FileName | None = None,
    labels: Labels | None = None,
    ignore_label: int | None = None,
    metrics: Words = ("dice", "hd95"),
    metric_options: MetricOptions | None = None,
    both_empty: Annotated[str, SETTINGS["both_empty"]] = "best",
    one_empty: Annotated[str, SETTINGS["one_empty"]] = "worst",
    empty_distance_mm: Annotated[float, SETTINGS["empty_distance_mm"]] | None = None,
    output: FileName = "results.csv",
    workers: Workers | None = None,
    device: Device | None = None,
    overwrite: bool = False,
    dataset_dir: FileName | None = None,
    trust: bool = False,
    **overrides: Any,
) -> None:
    """Score the held-out folds of a trained bundle, or any predictions against their references.

    Args:
        bundle: a trained bundle; leave it out to score files.
        fold: with a bundle: a fold, several, or all that were trained.
        paths: CSV or JSON with the columns id, mask, prediction.
        reference: folder of reference label maps, or a dataset.json; with --prediction instead of --paths.
        prediction: folder of predicted label maps, <id>.nii.gz.
        classes: JSON file: class name to list of labels (or a dataset.json, whose final_classes are taken; by
            default the one that --reference names).
        labels: all label values that may occur (0,1,2); by default those of the dataset.json, if any.
        ignore_label: value in the reference of voxels that do not count; by default that of the dataset.json.
        metrics: comma-separated names; `mist-bundle metrics` lists them.
        metric_options: JSON, or a file of it, such as {"surface_dice": {"tolerance_mm": 2}}.
        both_empty: best or nan: what a class counts that is in neither label map.
        one_empty: worst or nan: what a class counts that is in only one of them.
        empty_distance_mm: the worst distance; by default the diagonal of each image.
        output: the table to write when files are scored.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        device: with a bundle: cpu, cuda …
        overwrite: replace a table that is there already.
        dataset_dir: with a bundle: folder of the cases.
        trust: with a bundle: run one that does not pass `audit`.
        **overrides: with a bundle: any id of evaluate.json or train.json.
    """
    from mist_bundle.evaluation.pairs import Classes, find_pairs
    from mist_bundle.evaluation.score import settings_from
    from mist_bundle.runtime.metrics.case import EmptyRule

    rule = EmptyRule(both_empty=both_empty, one_empty=one_empty, distance_mm=empty_distance_mm)
    how = (metrics, metric_options, rule)
    if bundle is not None:
        settings = {"device": device, "dataset_dir": absolute(dataset_dir), **overrides}
        _evaluate_bundle(bundle_folder(bundle), fold, settings_from(Classes(final_classes={}), *how), settings, trust)
        return
    _refuse_overrides(overrides)
    from mist_bundle.evaluation.score import score_files
    from mist_bundle.files import refuse_existing

    target = Path(output)
    refuse_existing(target, overwrite=overwrite)
    chosen = settings_from(classes_of(classes, reference, labels, ignore_label), *how)
    found = find_pairs(optional_path(paths), optional_path(reference), optional_path(prediction))
    scored = score_files(found, chosen, workers)
    scored.write(target)
    print("\n".join(score_lines([case.row for case in scored.cases])))
    print(f"\nScores: {target}")
    warn(scored.warnings)
    fail_for(scored.problems, scored.num_cases, "not scored")


def postprocess(
    predictions: FileName,
    strategy: FileName,
    output: FileName,
    reference: FileName | None = None,
    classes: FileName | None = None,
    labels: Labels | None = None,
    ignore_label: int | None = None,
    metrics: Words = ("dice", "hd95"),
    metric_options: MetricOptions | None = None,
    weights: Weights | None = None,
    workers: Workers | None = None,
    overwrite: bool = False,
) -> None:
    """Post-process label maps; with references, score them before and after and weigh the change.

    Args:
        predictions: folder of <id>.nii.gz.
        strategy: JSON file of steps; `mist-bundle postprocessing` lists the operations.
        output: folder to make: predictions/, strategy.json; with references baseline.csv, results.csv, change.json too.
        reference: folder of reference label maps, or a dataset.json.
        classes: JSON file: class name to list of labels; by default the final_classes of the dataset.json.
        labels: all label values that may occur (0,1,2); by default those of the dataset.json, if any.
        ignore_label: value in the reference of voxels that do not count; by default that of the dataset.json.
        metrics: comma-separated names of the metrics that are weighed.
        metric_options: JSON, or a file of it, such as {"surface_dice": {"tolerance_mm": 2}}.
        weights: JSON: metric to weight, such as {"dice": 2, "hd95": 1}; all the same by default.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        overwrite: replace a folder that is there already.
    """
    from mist_bundle.evaluation.pairs import find_pairs
    from mist_bundle.evaluation.postprocess import load_strategy, postprocess_and_score, postprocess_folder
    from mist_bundle.evaluation.score import settings_from

    steps, target = load_strategy(Path(strategy)), Path(output)
    if reference is None:
        made = postprocess_folder(Path(predictions), steps, target, workers, overwrite=overwrite)
    else:
        settings = settings_from(classes_of(classes, reference, labels, ignore_label), metrics, metric_options)
        found = find_pairs(None, Path(reference), Path(predictions))
        made = postprocess_and_score(found, steps, target, settings, weights, workers, overwrite=overwrite)
    print(f"{made.num_written} label maps: {target / 'predictions'}")
    if made.change is not None:
        for line in _change_lines(made.change):
            print(line)
        print(f"Scores before and after: {target / 'baseline.csv'}, {target / 'results.csv'}")
    fail_for(made.problems, made.num_cases, "not post-processed")


def _change_lines(change: Change) -> list[str]:
    width = max(len(name) for name in change.columns)
    columns = [f"{name:<{width}}  {before:.4f} -> {after:.4f}" for name, (before, after) in change.columns.items()]
    return [
        *columns,
        f"Weighted change of quality (worst 0, best 1): {change.total:+.5f}; "
        f"{len(change.improved)} cases better, {len(change.worsened)} worse",
    ]


def choose_postprocessing(
    bundle: FileName,
    candidates: FileName | None = None,
    metrics: Words = ("dice", "hd95"),
    metric_options: MetricOptions | None = None,
    weights: Weights | None = None,
    min_gain: Fraction = 0.001,
    workers: Workers | None = None,
    dataset_dir: FileName | None = None,
) -> None:
    """Choose the post-processing that helps in every fold of a cross-validation, and write it into the bundle.

    Args:
        bundle: a bundle whose folds were trained and evaluated.
        candidates: JSON file of steps to try, instead of the default grid.
        metrics: comma-separated names of the metrics that are weighed.
        metric_options: JSON, or a file of it, such as {"surface_dice": {"tolerance_mm": 2}}.
        weights: JSON: metric to weight, such as {"dice": 2, "hd95": 1}; all the same by default.
        min_gain: what a step must add to the quality (worst 0, best 1), on average over all cases.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
    """
    from mist_bundle import pipeline
    from mist_bundle.evaluation.postprocess import load_strategy
    from mist_bundle.evaluation.score import settings_from

    path = bundle_folder(bundle)
    settings = settings_from(pipeline.scored_classes(path), metrics, metric_options)
    chosen, change, folder = pipeline.choose_postprocessing(
        path,
        settings,
        weights=weights,
        candidates=None if candidates is None else load_strategy(Path(candidates)),
        min_gain=min_gain,
        workers=workers,
        dataset_dir=optional_path(dataset_dir),
    )
    for step in chosen.steps:
        print(f"Chosen: {json.dumps(step.to_json())}")
    print(chosen.because)
    for line in _change_lines(change):
        print(line)
    print(f"Written into {path / 'configs' / 'postprocessing.json'}; all that was tried: {folder}")


def classes_of(
    classes: str | None, reference: str | None, labels: tuple[int, ...] | None, ignore_label: int | None
) -> Classes:
    """What is scored: as --classes says, or the dataset.json that --reference names."""
    from mist_bundle.evaluation.pairs import read_classes

    is_data_set = reference is not None and reference.endswith(".json")
    source = classes if classes is not None or not is_data_set else reference
    return read_classes(optional_path(source), labels, ignore_label)


def _evaluate_bundle(bundle: Path, fold: Any, how: ScoreSettings, settings: Mapping[str, Any], trust: bool) -> None:
    from mist_bundle import pipeline
    from mist_bundle.bundle.folder import Bundle
    from mist_bundle.evaluation.gather import gather_folds

    wanted = None if fold == "all" else fold_numbers(fold, pipeline.num_folds(bundle))
    scoring = {
        "metrics": list(how.metrics),
        "metric_options": {name: dict(values) for name, values in how.options.items()} or None,
        "both_empty": how.empty.both_empty,
        "one_empty": how.empty.one_empty,
        "empty_distance_mm": how.empty.distance_mm,
    }
    evaluated = pipeline.evaluate_folds(bundle, wanted, {**scoring, **settings}, trust=trust, announce=heading)
    left = sorted(set(range(pipeline.num_folds(bundle))) - set(evaluated)) if wanted is None else []
    warn([Problem(f"fold {one}", f"has no weights yet; train it: {_train_command(bundle, one)}") for one in left])
    tables = {number: Bundle(bundle).fold(number).results for number in evaluated}
    rows = gather_folds([table for table in tables.values() if table.is_file()])
    print("\n".join(["", *score_lines(rows), ""]))
    for number, table in tables.items():
        print(f"Fold {number}: {table}")


def _train_command(bundle: Path, fold: int) -> str:
    return f"mist-bundle train {bundle} --fold {fold}"


def _refuse_overrides(given: Mapping[str, Any]) -> None:
    known = [name for name in inspect.signature(evaluate).parameters if name != "overrides"]
    problems = [Problem(f"--{name}", f"is no option without a bundle. {did_you_mean(name, known)}") for name in given]
    if problems:
        raise InputError(problems)
