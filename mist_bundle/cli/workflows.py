"""Verbs that run a bundle: preprocess, train, finalize, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from mist_bundle.cli.kinds import ALL, CountOrNone, Device, Devices, FileName, Folds, Processes, Workers
from mist_bundle.cli.scores import score_lines
from mist_bundle.cli.words import absolute, bundle_folder, fold_numbers, heading, optional_path, warn
from mist_bundle.runtime.values import Text

# Heavy imports stand inside the verbs, so that --help answers at once.


def preprocess(
    bundle: FileName,
    dataset_dir: FileName | None = None,
    workers: Workers | None = None,
    trust: bool = False,
    **overrides: Any,
) -> None:
    """Prepare all training arrays ahead of time; training would do it on first use.

    Args:
        bundle: the bundle's folder.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
        workers: cases prepared at the same time, by default as many as there are cores (at most 8); or
            tcp://HOST:PORT of a Dask cluster.
        trust: run a bundle that does not pass `audit`.
        **overrides: any other id of preprocess.json.
    """
    from mist_bundle import pipeline

    cluster, threads = (workers, None) if isinstance(workers, str) else (None, workers)
    settings = {"dataset_dir": absolute(dataset_dir), "workers": threads, **overrides}
    pipeline.preprocess(bundle_folder(bundle), settings, cluster=cluster, trust=trust)
    print(f"Prepared arrays: {pipeline.work_dir_of(bundle_folder(bundle)) / 'cache'}")


def train(
    bundle: FileName,
    fold: Folds = (0,),
    resume: bool = False,
    device: Device | None = None,
    devices: Devices | None = None,
    processes: Processes | None = None,
    parallel: Processes = 1,
    nodes: Processes = 1,
    node_rank: CountOrNone | None = None,
    rendezvous: Annotated[str, Text()] | None = None,
    max_restarts: CountOrNone = 0,
    dataset_dir: FileName | None = None,
    overwrite: bool = False,
    trust: bool = False,
    **overrides: Any,
) -> None:
    """Train a bundle. The best weights of a fold are published, into models/, when its training ends.

    Args:
        bundle: the bundle's folder.
        fold: a fold, several (0,1), or all.
        resume: go on after the last finished epoch, with the settings that the fold was begun with; more --epochs
            extend it. Folds that are complete are passed over.
        device: cpu, cuda or cuda:1.
        devices: numbers of the GPUs to use, like 0,2; every visible GPU that the batch can use by default.
        processes: GPUs (or CPU processes) that train together.
        parallel: folds that are trained side by side; they share the GPUs or cores out.
        nodes: machines that train together; the same command, with another --node_rank, on each.
        node_rank: number of this machine, from 0.
        rendezvous: HOST:PORT of the machine with --node_rank 0.
        max_restarts: times that a training goes on from its last epoch after one of its processes died.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
        overwrite: train folds anew that were trained before; what was trained is lost.
        trust: run a bundle that does not pass `audit`.
        **overrides: any id of train.json: epochs, steps_per_epoch, batch_size, patch_size, learning_rate …
    """
    from mist_bundle import pipeline

    path = bundle_folder(bundle)
    warn(pipeline.data_warnings(path))
    settings = {"resume": resume or None, "device": device, "dataset_dir": absolute(dataset_dir), **overrides}
    folds = fold_numbers(fold, pipeline.num_folds(path))
    hardware = pipeline.Hardware(
        devices=devices,
        processes=processes,
        nodes=nodes,
        node_rank=node_rank,
        rendezvous=rendezvous,
        max_restarts=max_restarts,
    )
    pipeline.train(
        path, folds, settings, hardware, parallel=parallel, overwrite=overwrite, trust=trust, announce=heading
    )
    print(f"Best weights: {path / 'models'}\nLogs and last checkpoints: {pipeline.work_dir_of(path)}")


def publish(bundle: FileName, fold: Folds = ALL, work_dir: FileName | None = None, trust: bool = False) -> None:
    """Put the best weights of a training into the bundle, also those of one that was interrupted or still runs.

    A training does so by itself when it ends. Weights, their safetensors copy, card and manifest change together or not
    at all.

    Args:
        bundle: the bundle's folder.
        fold: a fold, several (0,1), or all that there are weights of.
        work_dir: where they were trained, if that is not the folder beside the bundle.
        trust: publish into a bundle that does not pass `audit`.
    """
    from mist_bundle import pipeline

    path = bundle_folder(bundle)
    folds = None if fold == ALL else fold_numbers(fold, pipeline.num_folds(path))
    changed = pipeline.publish(path, folds, work_dir=optional_path(work_dir), trust=trust)
    for number, names in changed.items():
        print(f"Fold {number}: {', '.join(names) if names else 'its best weights were there already'}")


def finalize(bundle: FileName) -> None:
    """Gather the folds of a trained and evaluated bundle: results.csv, model card, model.pt, manifest.

    Args:
        bundle: the bundle's folder.
    """
    from mist_bundle import pipeline
    from mist_bundle.evaluation.gather import read_table_of_results

    results = pipeline.finalize(bundle_folder(bundle))
    print("\n".join(score_lines(read_table_of_results(results))))
    print(f"\nResults of all folds: {results}")


def predict(
    bundle: FileName,
    input: FileName,
    output: FileName,
    tta: bool | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    device: Device | None = None,
    workers: Workers | None = None,
    overwrite: bool = False,
    trust: bool = False,
    **overrides: Any,
) -> None:
    """Write a label map for each case, in its own grid.

    Cases that fail are named and the others go on. The same command again predicts only what is missing.

    Args:
        bundle: a trained bundle.
        input: an image (single-channel models), a folder of cases, or CSV or JSON with an id and each channel by name.
        output: folder for <id>.nii.gz.
        tta: average over flips (--tta) or not (--notta); the bundle decides by default.
        probabilities: write the probability of each class too.
        uncertainty: write maps of entropy and of disagreement between folds and flips too (output/uncertainty).
        device: cpu, cuda or cuda:1.
        workers: processes that share the cases, or tcp://HOST:PORT of a Dask cluster; by default one process, which
            uses all cores.
        overwrite: replace label maps that were made with other weights or settings, or by something else.
        trust: run a bundle that does not pass `audit`.
        **overrides: any id of inference.json: overlap, sw_batch_size, ensemble …
    """
    from mist_bundle import pipeline

    written, warnings = pipeline.predict(
        bundle_folder(bundle),
        Path(input),
        Path(output),
        tta=tta,
        probabilities=probabilities,
        uncertainty=uncertainty,
        device=device,
        workers=workers,
        overwrite=overwrite,
        overrides=overrides,
        trust=trust,
    )
    warn(warnings)
    print(f"{len(written)} label maps: {output}")
