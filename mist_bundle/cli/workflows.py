"""Verbs that run a bundle: preprocess, train, evaluate, finalize, predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.cli.words import (
    absolute,
    bundle_folder,
    check_flags,
    fail_for,
    fold_numbers,
    optional_path,
    sequence,
    warn,
)

# Heavy imports stand inside the verbs, so that --help answers at once.


def preprocess(
    bundle: str, dataset_dir: str | None = None, workers: int | None = None, trust: bool = False, **overrides: Any
) -> None:
    """Prepare all training arrays ahead of time; training would do it on first use.

    Args:
        bundle: the bundle's folder.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
        workers: cases prepared at the same time.
        trust: run a bundle that does not pass `audit`.
        **overrides: any other id of preprocess.json.
    """
    from mist_bundle import pipeline

    settings = {"dataset_dir": absolute(dataset_dir), "workers": workers, **overrides}
    pipeline.preprocess(bundle_folder(bundle), settings, trust=trust)
    print(f"Prepared arrays: {pipeline.work_dir(bundle_folder(bundle)) / 'cache'}")


def train(
    bundle: str,
    fold: Any = 0,
    resume: bool = False,
    device: str | None = None,
    processes: int = 1,
    dataset_dir: str | None = None,
    trust: bool = False,
    **overrides: Any,
) -> None:
    """Train a bundle.

    Args:
        bundle: the bundle's folder.
        fold: a fold, several (0,1), or all.
        resume: go on after the last finished epoch; folds that are complete are passed over.
        device: cpu, cuda or cuda:1.
        processes: GPUs (or CPU processes) that train together.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
        trust: run a bundle that does not pass `audit`.
        **overrides: any id of train.json: epochs, steps_per_epoch, batch_size, patch_size, learning_rate …
    """
    from mist_bundle import pipeline

    path = bundle_folder(bundle)
    settings = {"resume": resume or None, "device": device, "dataset_dir": absolute(dataset_dir), **overrides}
    pipeline.train(path, fold_numbers(fold, pipeline.num_folds(path)), settings, processes, trust=trust)
    print(f"Best weights: {path / 'models'}\nLogs and last checkpoints: {pipeline.work_dir(path)}")


def evaluate(
    bundle: str | None = None,
    fold: Any = "all",
    paths: str | None = None,
    reference: str | None = None,
    prediction: str | None = None,
    classes: str | None = None,
    metrics: Any = "dice,hd95",
    output: str = "results.csv",
    workers: Any = 1,
    device: str | None = None,
    overwrite: bool = False,
    dataset_dir: str | None = None,
    trust: bool = False,
    **overrides: Any,
) -> None:
    """Score the held-out folds of a trained bundle, or any predictions against their references.

    Args:
        bundle: a trained bundle; leave it out to score files.
        fold: with a bundle: a fold, several, or all that were trained.
        paths: CSV with the columns id, mask, prediction.
        reference: folder of reference label maps, with --prediction instead of --paths.
        prediction: folder of predicted label maps of the same names.
        classes: JSON file: class name to list of labels (or a dataset.json, whose final_classes are taken).
        metrics: comma-separated names: dice, hd95, surface_dice …
        output: the table to write when files are scored.
        workers: cases scored at the same time.
        device: with a bundle: cpu, cuda …
        overwrite: replace a table that is there already.
        dataset_dir: with a bundle: folder of the cases.
        trust: with a bundle: run one that does not pass `audit`.
        **overrides: with a bundle: any id of evaluate.json or train.json.
    """
    names = tuple(sequence("metrics", metrics, str))
    if bundle is None:
        _refuse_unknown(overrides)
        _evaluate_files(paths, reference, prediction, classes, names, Path(str(output)), workers, overwrite=overwrite)
        return
    from mist_bundle import pipeline

    path = bundle_folder(bundle)
    wanted = fold_numbers(fold, pipeline.num_folds(path))
    settings = {"device": device, "dataset_dir": absolute(dataset_dir), "metrics": list(names), **overrides}
    pipeline.evaluate_folds(path, wanted, settings, trust=trust)
    for one in wanted:
        print(f"Fold {one}: {pipeline.work_dir(path) / f'fold_{one}' / 'results.csv'}")


def _evaluate_files(
    paths: str | None,
    reference: str | None,
    prediction: str | None,
    classes: str | None,
    metrics: Sequence[str],
    output: Path,
    workers: Any,
    *,
    overwrite: bool,
) -> None:
    from mist_bundle.artifacts import refuse_existing
    from mist_bundle.evaluation.score import evaluate_files

    refuse_existing(output, overwrite=overwrite)
    failed, total = evaluate_files(
        paths=optional_path(paths),
        reference=optional_path(reference),
        prediction=optional_path(prediction),
        classes=optional_path(classes),
        metrics=metrics,
        output=output,
        workers=workers,
    )
    print(f"Scores: {output}")
    fail_for(failed, total, "not scored")


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    check_flags(_evaluate_files, [f"--{name}" for name in given])


def finalize(bundle: str) -> None:
    """Gather the folds of a trained and evaluated bundle: results.csv, model card, model.pt, manifest.

    Args:
        bundle: the bundle's folder.
    """
    from mist_bundle import pipeline

    print(f"Results of all folds: {pipeline.finalize(bundle_folder(bundle))}")


def predict(
    bundle: str,
    input: str,
    output: str,
    tta: bool | None = None,
    probabilities: bool = False,
    device: str | None = None,
    overwrite: bool = False,
    trust: bool = False,
    **overrides: Any,
) -> None:
    """Write a label map for each case, in its own grid.

    Args:
        bundle: a trained bundle.
        input: CSV or JSON with an id and one column for each channel, by name; or a folder of case folders.
        output: folder for <id>.nii.gz.
        tta: average over flips (--tta) or not (--notta); the bundle decides by default.
        probabilities: write the probability of each class too.
        device: cpu, cuda or cuda:1.
        overwrite: replace label maps that are there already.
        trust: run a bundle that does not pass `audit`.
        **overrides: any id of inference.json: overlap, sw_batch_size, ensemble …
    """
    from mist_bundle import pipeline

    written, warnings = pipeline.predict(
        bundle_folder(bundle),
        Path(str(input)),
        Path(str(output)),
        tta=tta,
        probabilities=probabilities,
        device=device,
        overwrite=overwrite,
        overrides=overrides,
        trust=trust,
    )
    warn(warnings)
    print(f"{len(written)} label maps: {output}")
