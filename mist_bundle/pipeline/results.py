"""The steps after training: results of all folds, the choice of post-processing, the report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

from mist_bundle.bundle.finalize import finalize_bundle
from mist_bundle.bundle.folder import Bundle, Fold
from mist_bundle.bundle.publish import finish_publication, publish_files
from mist_bundle.errors import CaseFailure, InputError, Problem
from mist_bundle.files import (
    CALIBRATION_JSON,
    CONFIDENCE_JSON,
    POSTPROCESSING_JSON,
    RESULTS_CSV,
    refuse_existing,
    work_dir_of,
    write_json,
)
from mist_bundle.runtime.folds.files import json_text, sha256_of

if TYPE_CHECKING:
    from mist_bundle.evaluation.calibrate import Calibration, Outputs
    from mist_bundle.evaluation.change import Change
    from mist_bundle.evaluation.choose_postprocessing import Choice, HeldOut
    from mist_bundle.evaluation.ensemble import Channels
    from mist_bundle.evaluation.pairs import Classes
    from mist_bundle.evaluation.score import ScoreSettings
    from mist_bundle.report.bundle_report import Reported
    from mist_bundle.runtime.postprocessing.strategy import Step


def finalize(bundle: Path) -> Path:
    """Gather the folds: results.csv over all held-out predictions, the model card, model.pt, the manifest.

    Returns:
        The results.csv.

    Raises:
        InputError: a fold has not been trained and evaluated yet, or its weights were replaced since.
        CaseFailure: a case was not scored in its fold; the others are gathered, and results.json names it.
    """
    from mist_bundle.evaluation.gather import failed_cases, gather_folds, write_results

    finish_publication(bundle)
    folder = Bundle(bundle)
    weights = scored_weights(folder)
    tables = [fold.results for fold in folder.folds()]
    rows = gather_folds(tables)
    failed = failed_cases(tables, rows, [case.id for case in folder.datalist.training])
    results = folder.work_dir / RESULTS_CSV
    summary = write_results(results, rows, failed, {"weights": _by_text(weights)})
    finalize_bundle(bundle, summary, weights)
    if failed:
        problems = list(starmap(Problem, sorted(failed.items())))
        raise CaseFailure(problems, len(rows) + len(failed))
    return results


def _by_text(hashes: Mapping[int, str]) -> dict[str, str]:
    """The hash of each fold's weights, with keys as JSON has them."""
    return dict(zip(map(str, hashes), hashes.values(), strict=True))


def scored_weights(bundle: Bundle) -> dict[int, str]:
    """The hash of each fold's weights, from which its scores and predictions come.

    Raises:
        InputError: naming every fold that was not trained or evaluated, or whose weights were replaced since.
    """
    problems, weights = [], {}
    for fold in bundle.folds():
        command = f"mist-bundle evaluate {shlex.quote(str(bundle.root))} --fold {fold.number}"
        if fold.published is None:
            problems.append(Problem(str(fold.weights), "is not there. Train and evaluate this fold first."))
        elif not fold.results.is_file():
            problems.append(Problem(str(fold.results), f"is not there. Evaluate this fold first: {command}"))
        elif not are_scores_of(fold):
            message = f"holds scores of other weights than models/{fold.weights.name}, which was replaced since."
            problems.append(Problem(str(fold.results), f"{message} Evaluate this fold again: {command}"))
        else:
            weights[fold.number] = sha256_of(fold.published)
    if problems:
        raise InputError(problems)
    return weights


def evaluated_folds(bundle: Path) -> list[int]:
    """The folds whose results are those of the weights that are in the bundle now."""
    folds = []
    for fold in Bundle(bundle).folds():
        if are_scores_of(fold):
            folds.append(fold.number)
    return folds


def are_scores_of(fold: Fold) -> bool:
    """Whether a fold's results are those of the weights that are in the bundle now."""
    weights = fold.published
    if weights is None or not fold.results.is_file():
        return False
    scored = fold.scored
    if scored is not None and scored.get("weights"):
        return bool(scored["weights"] == sha256_of(weights))
    # scored by scripts that did not say it yet
    return fold.results.stat().st_mtime_ns >= weights.stat().st_mtime_ns


def scored_classes(bundle: Path) -> Classes:
    """The classes that a bundle is scored by, and its labels, background first."""
    from mist_bundle.evaluation.pairs import Classes

    plan = Bundle(bundle).plan
    return Classes(final_classes=dict(plan.final_classes), labels=plan.labels, ignore_label=plan.ignore_label)


def probability_channels(bundle: Path) -> Channels:
    """What the channels of the probability maps mean that a bundle writes."""
    from mist_bundle.evaluation.ensemble import Channels

    plan = Bundle(bundle).plan
    if plan.regions.value:
        return Channels(labels=plan.region_labels, region_order=plan.region_order)
    return Channels(labels=plan.labels)


def choose_postprocessing(
    bundle: Path,
    settings: ScoreSettings,
    *,
    weights: Mapping[str, float] | None = None,
    candidates: Sequence[Step] | None = None,
    min_gain: float = 0.001,
    workers: int | str | None = None,
    dataset_dir: Path | None = None,
) -> tuple[Choice, Change, Path]:
    """Choose a post-processing by the out-of-fold predictions and write it into the bundle.

    Args:
        bundle: its folds were trained and evaluated.
        settings: how predictions are scored.
        weights: of the metrics; equal by default.
        candidates: steps to try; by default a small grid derived from the references.
        min_gain: what a step must add to the quality.
        workers: cases at the same time.
        dataset_dir: folder of the cases; by default as the bundle was configured.

    Returns:
        The choice, the change that it makes, and the folder with the account of all candidates.

    Raises:
        InputError: a fold was not evaluated, its weights were replaced since, or a case cannot be scored.
    """
    from mist_bundle.bundle.launch import configured_dataset_dir
    from mist_bundle.evaluation.change import check_weights, measure_change
    from mist_bundle.evaluation.choose_postprocessing import ScoreTable, choose, default_candidates
    from mist_bundle.evaluation.postprocess import write_change

    checked = check_weights(settings, weights)
    digests = scored_weights(Bundle(bundle))
    cases = held_out_cases(Bundle(bundle), dataset_dir or configured_dataset_dir(bundle))
    if candidates:
        grid = tuple(candidates)
    else:
        foreground = list(filter(None, scored_classes(bundle).labels or ()))
        grid = default_candidates([case.pair for case in cases], foreground, workers)
    table = ScoreTable(held_out=cases, settings=settings, weights=checked, workers=workers)
    chosen = choose(table, grid, min_gain)
    before, after = table.scores(()), table.scores(chosen.steps)
    change = measure_change(before, after, settings, checked)
    folder = work_dir_of(bundle) / "postprocessing"
    write_change(folder, before, after, change, checked)
    content = {**chosen.to_json(), "metrics": list(settings.metrics), "weights": checked}
    content["derived_from"] = _by_text(digests)
    write_json(folder / "choice.json", {**content, "candidates": list(chosen.candidates)})
    publish_files(bundle, {POSTPROCESSING_JSON: json_text(content).encode("utf-8")}, renew=True)
    return chosen, change, folder


def calibrate(
    bundle: Path, *, workers: int | str | None = None, dataset_dir: Path | None = None
) -> tuple[Calibration, Path]:
    """Measure how far the probabilities can be trusted, and write the temperature into the bundle.

    Args:
        bundle: its folds were trained, and evaluated with `save_probabilities`.
        workers: cases at the same time.
        dataset_dir: folder of the cases; by default as the bundle was configured.

    Returns:
        The calibration, and the file with the account of it.

    Raises:
        InputError: a fold was not evaluated or its weights were replaced since, or maps of probabilities are missing.
    """
    from mist_bundle.bundle.launch import configured_dataset_dir
    from mist_bundle.evaluation.calibrate import calibrate as measure
    from mist_bundle.evaluation.calibrate import probabilities_of

    folder = Bundle(bundle)
    digests = scored_weights(folder)
    cases = held_out_cases(folder, dataset_dir or configured_dataset_dir(bundle))
    missing = [case for case in cases if not probabilities_of(case).is_file()]
    if missing:
        message = (
            f"{len(missing)} of {len(cases)} held-out cases have no map of probabilities. Write them first: "
            f"mist-bundle evaluate {shlex.quote(str(bundle))} --save_probabilities true"
        )
        raise InputError(Problem(str(probabilities_of(missing[0])), message))
    calibration = measure(cases, _outputs_of(folder), workers=workers)
    account = folder.work_dir / CALIBRATION_JSON
    write_json(account, calibration.account())
    content = {**calibration.to_json(), "derived_from": _by_text(digests)}
    publish_files(bundle, {CONFIDENCE_JSON: json_text(content).encode("utf-8")}, renew=True)
    return calibration, account


def _outputs_of(bundle: Bundle) -> Outputs:
    from mist_bundle.evaluation.calibrate import Outputs

    plan = bundle.plan
    if plan.regions.value:
        members = tuple(tuple(labels) for labels in plan.final_classes.values())
    else:
        members = tuple((label,) for label in plan.labels)
    return Outputs(
        names=plan.foreground_names,
        members=members,
        exclusive=not plan.regions.value,
        ignore_label=plan.ignore_label,
    )


def held_out_cases(bundle: Bundle, dataset_dir: Path) -> list[HeldOut]:
    """The training cases of a bundle with their out-of-fold predictions, each by the fold that held the case out.

    Args:
        bundle: its folds were trained and evaluated.
        dataset_dir: folder of the cases.

    Raises:
        InputError: naming every case without prediction or reference.
    """
    from mist_bundle.evaluation.choose_postprocessing import HeldOut
    from mist_bundle.evaluation.pairs import Pair

    cases = []
    problems = []
    for case in bundle.datalist.training:
        if case.fold is None or case.label is None:
            continue
        reference = dataset_dir / case.label
        prediction = bundle.fold(case.fold).prediction(case.id)
        if not prediction.is_file():
            problems.append(Problem(case.id, f"has no prediction at {prediction}. Train and evaluate its fold first."))
        if not reference.is_file():
            problems.append(Problem(case.id, f"has no reference at {reference}. Name the folder with --dataset_dir."))
        pair = Pair(id=case.id, reference=reference, prediction=prediction, unlabelled=case.unlabelled)
        cases.append(HeldOut(fold=case.fold, pair=pair))
    if problems:
        raise InputError(problems)
    return cases


def report(
    bundle: Path,
    output: Path | None = None,
    *,
    dataset_dir: Path | None = None,
    pictures: int = 6,
    viewer_cases: int = 3,
    workers: int | str | None = None,
    overwrite: bool = False,
) -> Reported:
    """Write the page about a bundle, and a viewer of some cases beside it.

    Args:
        bundle: its folder, trained or not.
        output: the HTML file; report.html in the work folder by default.
        dataset_dir: folder of the cases, if it is not the folder that the bundle names.
        pictures: cases shown in the part about the data.
        viewer_cases: cases in the viewer; 0 for no viewer.
        workers: processes that read the predictions.
        overwrite: replace an existing page.

    Raises:
        InputError: a page exists already, or a file of the bundle or of its work folder is damaged.
    """
    from mist_bundle.report.bundle_report import REPORT_HTML, ReportRequest, viewer_path, write_report

    page = output or work_dir_of(bundle) / REPORT_HTML
    if page.suffix.lower() not in (".html", ".htm"):
        message = f"is {page}; expected a name that ends in .html."  # with --overwrite it could be any file of the user
        raise InputError(Problem("--output", message))
    refuse_existing(page, overwrite=overwrite)
    if viewer_cases:
        refuse_existing(viewer_path(page), overwrite=overwrite)
    request = ReportRequest(
        bundle=bundle, dataset_dir=dataset_dir, pictures=pictures, viewer_cases=viewer_cases, workers=workers
    )
    return write_report(request, page)
