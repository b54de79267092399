"""Verbs that look at a data set: autoconfig, analyze, and run_all, which goes on to the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mist_bundle.cli.arguments import takes_options
from mist_bundle.cli.kinds import BundleFormat, CountOrNone, Device, FileName, Processes, Workers
from mist_bundle.cli.scores import score_lines
from mist_bundle.cli.words import fail_for, heading, optional_path, span, train_command, warn
from mist_bundle.errors import CaseFailure, InputError, Interrupted
from mist_bundle.planning.options import OPTIONS, PlanOptions

# Heavy imports stand inside the verbs, so that --help answers at once.


@takes_options(OPTIONS.values())
def autoconfig(
    dataset_json: FileName,
    output: FileName = ".",
    *,
    fold_by: str | None = None,
    fold_file: FileName | None = None,
    workers: Workers | None = None,
    format: BundleFormat = "json",
    overwrite: bool = False,
    overwrite_weights: bool = False,
    **options: Any,
) -> None:
    """Look at a data set, decide everything, and write it as a MONAI bundle.

    Args:
        dataset_json: the data set's description (MIST's keys: task, modality, train-data, mask, images, labels …).
        output: folder in which <task>_segmentation/ is made.
        fold_by: column of the cases' table that is kept together in a fold (leave-one-site-out, say).
        fold_file: CSV or JSON with the columns id and fold.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        format: json, which every consumer reads, or yaml.
        overwrite: replace a bundle that is there already.
        overwrite_weights: with --overwrite: lose what was trained of that bundle, too.
        **options: options of the planner (planning/options.py).
    """
    from mist_bundle import pipeline
    from mist_bundle.planning.table import decisions_text

    made = pipeline.autoconfig(
        Path(dataset_json),
        Path(output),
        PlanOptions(**options),
        fold_by=fold_by,
        fold_file=optional_path(fold_file),
        config_format=format,
        workers=workers,
        overwrite=overwrite,
        overwrite_weights=overwrite_weights,
    )
    warn(made.warnings)
    print(decisions_text(made.plan))
    print(f"\nBundle of {made.plan.num_cases} cases ({span(made.case_ids)}): {made.bundle}")
    print(f"Train it: {train_command(made.bundle, made.plan)}")
    fail_for(made.excluded, made.plan.num_cases + len(made.excluded), "left out")


def analyze(
    dataset_json: FileName,
    output: FileName = ".",
    workers: Workers | None = None,
    pictures: CountOrNone = 6,
    overwrite: bool = False,
) -> None:
    """Look at a data set before anyone trains: spacing, intensities, structures, lesions, oddities, as a page.

    Args:
        dataset_json: the data set's description.
        output: folder for data_report.html, data_report.md, data_report.json and fingerprint.json.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        pictures: how many cases the page shows, from the smallest to the largest labelled volume.
        overwrite: replace files that are there already.
    """
    from mist_bundle import pipeline

    made = pipeline.analyze_dataset(
        Path(dataset_json), Path(output), workers=workers, pictures=pictures, overwrite=overwrite
    )
    warn(made.warnings)
    for sentence in made.report["observations"]:
        print(f"- {sentence}")
    count = made.report["num_cases"]
    print(f"\nMeasured {count} cases: {made.page}\nThe same as text and numbers: data_report.md, data_report.json")
    fail_for(made.excluded, count + len(made.excluded), "left out")


@takes_options(OPTIONS.values())
def run_all(
    dataset_json: FileName,
    output: FileName = ".",
    *,
    device: Device | None = None,
    predict_test: bool = True,
    resume: bool = False,
    processes: Processes | None = None,
    parallel: Processes = 1,
    fold_by: str | None = None,
    fold_file: FileName | None = None,
    workers: Workers | None = None,
    format: BundleFormat = "json",
    overwrite: bool = False,
    overwrite_weights: bool = False,
    **options: Any,
) -> None:
    """Everything: configure, preprocess, train and evaluate every fold, gather the results, predict the test set.

    Args:
        dataset_json: the data set's description.
        output: folder in which <task>_segmentation/ and its work folder are made.
        device: cpu, cuda or cuda:1.
        predict_test: predict the test set, where there is one.
        resume: go on with the bundle that is there, after what is finished.
        processes: GPUs (or CPU processes) that train together; every visible GPU by default.
        parallel: folds that are trained side by side.
        fold_by: column of the cases' table that is kept together in a fold (leave-one-site-out, say).
        fold_file: CSV or JSON with the columns id and fold.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        format: json, which every consumer reads, or yaml.
        overwrite: replace a bundle that is there already.
        overwrite_weights: with --overwrite: lose what was trained of that bundle, too.
        **options: options of the planner (planning/options.py).
    """
    from mist_bundle import pipeline
    from mist_bundle.bundle.generate import bundle_name
    from mist_bundle.dataset.spec import DatasetSpec

    bundle = Path(output) / bundle_name(DatasetSpec.from_json(Path(dataset_json)))
    left_out: CaseFailure | None = None
    if resume and bundle.is_dir():
        pipeline.refuse_other_options(bundle, PlanOptions(**options), options)
    else:
        try:
            autoconfig(
                dataset_json,
                output,
                fold_by=fold_by,
                fold_file=fold_file,
                workers=workers,
                format=format,
                overwrite=overwrite,
                overwrite_weights=overwrite_weights,
                **options,
            )
        except CaseFailure as failure:  # the others go on; the exit code says it at the end
            left_out = failure
    with _named_when_interrupted(dataset_json, output):
        hardware = {"processes": processes, "parallel": parallel}
        _run_all(bundle, options, device=device, predict_test=predict_test, resume=resume, hardware=hardware)
    if left_out is not None:
        raise left_out


def _run_all(
    bundle: Path,
    options: Mapping[str, Any],
    *,
    device: str | None,
    predict_test: bool,
    resume: bool,
    hardware: Mapping[str, Any],
) -> None:
    """What follows the configuration."""
    from mist_bundle import pipeline
    from mist_bundle.catalog.choice import is_user_code
    from mist_bundle.evaluation.gather import read_table_of_results
    from mist_bundle.report.overlay import draw_examples

    settings = {"device": device}
    folds = list(range(pipeline.num_folds(bundle)))
    # the audit vouches for released code alone; who names code of their own here vouches for that
    trust = any(is_user_code(str(options.get(name) or "")) for name in ("network", "loss"))
    pipeline.preprocess(bundle, {}, trust=trust)
    chosen = pipeline.Hardware(processes=hardware["processes"])
    begun = {**settings, "resume": resume or None}
    pipeline.train(bundle, folds, begun, chosen, parallel=hardware["parallel"], trust=trust, announce=heading)
    scored = pipeline.evaluated_folds(bundle) if resume else []
    left = [fold for fold in folds if fold not in scored]
    if left:
        pipeline.evaluate_folds(bundle, left, settings, trust=trust, announce=heading)
    results = pipeline.finalize(bundle)
    predictions = pipeline.work_dir_of(bundle) / "predictions"
    count = pipeline.predict_test_set(bundle, predictions, settings, trust=trust) if predict_test else 0
    picture = draw_examples(bundle, pipeline.work_dir_of(bundle))
    page = _report(bundle)
    print("\n" + "\n".join(score_lines(read_table_of_results(results))))
    print(f"\nBundle:      {bundle}\nResults:     {results}\nPicture:     {picture}\nReport:      {page}")
    print(f"Predictions: {pipeline.work_dir_of(bundle)}/fold_*/predictions (each case by a model that had not seen it)")
    if count:
        print(f"Test set:    {predictions} ({count} cases)")


@contextmanager
def _named_when_interrupted(dataset_json: str, output: str) -> Iterator[None]:
    """Say how to go on when a signal ends the block."""
    try:
        yield
    except Interrupted as interruption:
        words = ["python", "-m", "mist_bundle", "run_all", dataset_json, "--output", output, "--resume"]
        first = str(interruption).partition(" Go on with: ")[0]
        raise Interrupted(interruption.number, f"{first} Go on with: {shlex.join(words)}") from interruption


def _report(bundle: Path) -> str:
    """Where the report lies, or why there is none: by now everything else is done, and stays so."""
    from mist_bundle import pipeline

    try:
        return str(pipeline.report(bundle, overwrite=True).page)
    except InputError as error:
        return f"none ({error})"
