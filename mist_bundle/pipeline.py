"""The verbs as functions: what the command line calls, and what a Python program may call instead.

Each takes plain values, raises InputError or CaseFailure, returns what was made, and prints nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.analysis.fingerprint import analyze
from mist_bundle.artifacts import (
    DATALIST_JSON,
    FINGERPRINT_JSON,
    PLAN_JSON,
    POSTPROCESSING_JSON,
    RESULTS_CSV,
    read_json,
    refuse_existing,
    work_dir_of,
    write_json,
)
from mist_bundle.bundle.audit import require_audited
from mist_bundle.bundle.finalize import finalize_bundle
from mist_bundle.bundle.generate import BundleInput, bundle_name, generate_bundle
from mist_bundle.bundle.launch import EVALUATING, INFERENCE, PREPROCESS, TRAINING, run_workflow
from mist_bundle.bundle.user_code import UserCode, find_user_code
from mist_bundle.catalog.choice import is_user_code
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.cases import Case, find_cases, match_prediction_inputs
from mist_bundle.dataset.folds import assign_folds
from mist_bundle.dataset.prediction_case import check_prediction_case
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.tables import read_table
from mist_bundle.errors import CaseFailure, InputError, Problem
from mist_bundle.planning.objective import check_objective
from mist_bundle.planning.plan import Plan, PlanOptions, check_options, make_plan
from mist_bundle.planning.transfer import TransferOptions, adapt_plan, check_transfer_options, source_options

if TYPE_CHECKING:
    from mist_bundle.evaluation.change import Change
    from mist_bundle.evaluation.choose_postprocessing import Choice
    from mist_bundle.evaluation.ensemble import Channels
    from mist_bundle.evaluation.pairs import Classes
    from mist_bundle.evaluation.score import ScoreSettings
    from mist_bundle.runtime.postprocessing.strategy import Step

if TYPE_CHECKING:
    from mist_bundle.report.bundle_report import Reported

FOLD_COLUMN = "fold"
# A last word on a plan, and files to add to its bundle
Adapt = Callable[[Plan], tuple[Plan, Mapping[str, bytes]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What autoconfig made."""

    bundle: Path
    plan: Plan
    excluded: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def autoconfig(
    dataset_json: Path,
    output: Path,
    options: PlanOptions,
    *,
    fold_by: str | None = None,
    fold_file: Path | None = None,
    config_format: str = "json",
    workers: int | str = 1,
    overwrite: bool = False,
    adapt: Adapt | None = None,
) -> Configured:
    """Check, measure, decide, and write the bundle.

    Args:
        dataset_json: MIST's data set description.
        output: folder that the bundle is made in; fingerprint.json goes beside it, into its work folder.
        options: what was asked for.
        fold_by: column of the cases' table whose values are kept together in a fold (leave-one-site-out, say).
        fold_file: CSV or JSON that gives each case its fold.
        config_format: "json" or "yaml".
        workers: processes of the analysis, or the address of a Dask scheduler.
        overwrite: replace a bundle that is there.
        adapt: changes the plan and adds files to the bundle, before anything is written.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    check_options(options)
    options, user_code = _find_user_code(options)
    spec = DatasetSpec.from_json(dataset_json)
    if options.ignore_label is not None:
        spec = spec.with_ignore_label(options.ignore_label)
    check_objective(spec, options)
    refuse_existing(output / bundle_name(spec), overwrite=overwrite)
    found = find_cases(spec, "train")
    fingerprint = analyze(spec, found.cases, workers=workers, excluded=found.problems)
    excluded = fingerprint.excluded
    used_ids = {case.id for case in fingerprint.cases}
    cases = [case for case in found.cases if case.id in used_ids]
    folds = _folds(cases, options, fold_by, fold_file)
    if fold_file is not None or fold_by is not None:
        options = replace(options, folds=max(folds.values()) + 1)
    plan = make_plan(spec, fingerprint, options)
    plan, extra_files = (plan, {}) if adapt is None else adapt(plan)
    tests = find_cases(spec, "test") if spec.test_dir is not None else None
    given = BundleInput(
        spec=spec,
        plan=plan,
        cases=cases,
        test_cases=tests.cases if tests else (),
        folds=folds,
        excluded=excluded,
        user_code=user_code,
        extra_files=extra_files,
    )
    bundle = generate_bundle(given, output, config_format=config_format, overwrite=overwrite)
    write_json(work_dir(bundle) / FINGERPRINT_JSON, fingerprint.to_json())
    return Configured(
        bundle=bundle,
        plan=plan,
        excluded=(*excluded, *(tests.problems if tests else ())),
        warnings=(*found.warnings, *(tests.warnings if tests else ())),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class FineTuned:
    """What finetune made: the new bundle, and the account of the weights as rows for people."""

    configured: Configured
    rows: tuple[tuple[str, str, str], ...]


def finetune(
    source: str,
    dataset_json: Path,
    output: Path,
    options: PlanOptions,
    transfer: TransferOptions,
    *,
    asked: frozenset[str] = frozenset(),
    trust: bool = False,
    **how: Any,
) -> FineTuned:
    """A new bundle for new data whose training begins from another bundle's weights; the source is only read.

    Args:
        source: a bundle's folder, a zip file, or a Hugging Face repository (see `open_source`).
        dataset_json: the new data's description.
        output: folder that the new bundle is made in.
        options: as for `autoconfig`; the recipe is the source's unless "recipe" is among `asked`.
        transfer: how weights are carried over and trained on.
        asked: names of plan options that were given explicitly: these win over what the source had.
        trust: go on with a source that does not pass the audit.
        how: fold_by, fold_file, config_format, workers, overwrite of `autoconfig`.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle.bundle import transfer as carrying
    from mist_bundle.bundle.source import open_source
    from mist_bundle.bundle.stages import with_stages

    check_transfer_options(transfer)
    check_options(options)
    target = output / bundle_name(DatasetSpec.from_json(dataset_json))
    if Path(source).is_dir() and target.exists() and target.samefile(source):
        message = "is the source itself, which is never changed. Choose another --output."
        raise InputError(Problem(str(target), message))
    refuse_existing(target, overwrite=bool(how.get("overwrite")))
    rows: list[tuple[str, str, str]] = []
    with open_source(source, trust=trust) as opened:
        options = source_options(options, opened.model, transfer, asked)

        def adapt(plan: Plan) -> tuple[Plan, Mapping[str, bytes]]:
            plan = with_stages(adapt_plan(plan, opened.model, transfer, asked), opened.model.target)
            carried = carrying.transfer_weights(opened, plan, transfer.channels)
            rows.extend(carrying.report_rows(carried))
            return plan, carrying.initial_files(carried, opened, transfer.channels)

        configured = autoconfig(dataset_json, output, options, adapt=adapt, **how)
    return FineTuned(configured=configured, rows=tuple(rows))


def average_weights(sources: Sequence[Path], output: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write the mean of several weight files, or of a bundle's fold_*.pt.

    Args:
        sources: one bundle's folder, or two files or more.
        output: file to write: .pt for a torch state dict, .safetensors otherwise.
        overwrite: replace a file that is there.

    Returns:
        The files that were averaged.

    Raises:
        InputError: fewer than two files, or files of different networks.
    """
    from mist_bundle.bundle import weights

    refuse_existing(output, overwrite=overwrite)
    if output.suffix not in (".pt", weights.SAFETENSORS):
        raise InputError(Problem("--output", f"is {output}; expected a file ending in .pt or {weights.SAFETENSORS}."))
    files = [
        file
        for source in sources
        for file in (sorted((source / "models").glob("fold_*.pt")) if source.is_dir() else [source])
    ]
    missing = [Problem(str(file), "is not there.") for file in files if not file.is_file()]
    if missing:
        raise InputError(missing)
    weights.write_weights(output, weights.average_weights(files), overwrite=overwrite)
    return tuple(files)


def _find_user_code(options: PlanOptions) -> tuple[PlanOptions, tuple[UserCode, ...]]:
    """The options with dotted paths as the bundle will know them, and the files that go with them."""
    codes: list[UserCode] = []
    problems: list[Problem] = []
    for name, menu in (("network", NETWORKS), ("loss", LOSSES)):
        asked = getattr(options, name)
        if asked is None or not is_user_code(asked):
            continue
        try:
            code = find_user_code(asked, f"--{name}", menu)
        except InputError as error:
            problems += error.problems
            continue
        if name == "network":
            options = replace(options, network=code.target, patch_divisor=code.patch_divisor)
        else:
            options = replace(options, loss=code.target)
        codes.append(code)
    if problems:
        raise InputError(problems)
    return options, tuple(codes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyzed:
    """What analyze wrote."""

    page: Path
    report: dict[str, Any]
    excluded: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def analyze_dataset(
    dataset_json: Path, output: Path, *, workers: int | str = 1, pictures: int = 6, overwrite: bool = False
) -> Analyzed:
    """Measure a data set in detail and write fingerprint.json and data_report.json, .md and .html.

    Args:
        dataset_json: MIST's data set description.
        output: folder of the files.
        workers: processes, or the address of a Dask scheduler.
        pictures: how many cases the page shows.
        overwrite: replace files that are there.

    Raises:
        InputError: the description is wrong, no case is usable, or a file is there already.
    """
    from mist_bundle.analysis.data_report import DataFacts, make_data_report
    from mist_bundle.analysis.fingerprint import analyze_in_detail
    from mist_bundle.report.data_page import DATA_REPORT_HTML, DATA_REPORT_JSON, DATA_REPORT_MD, write_data_report
    from mist_bundle.report.sources import files_of_cases

    for name in (FINGERPRINT_JSON, DATA_REPORT_JSON, DATA_REPORT_MD, DATA_REPORT_HTML):
        refuse_existing(output / name, overwrite=overwrite)
    spec = DatasetSpec.from_json(dataset_json)
    found = find_cases(spec, "train")
    fingerprint, details = analyze_in_detail(spec, found.cases, workers=workers, excluded=found.problems)
    report = make_data_report(DataFacts.of_spec(spec), fingerprint, details)
    write_data_report(output, report, files_of_cases(found.cases), pictures)
    write_json(output / FINGERPRINT_JSON, fingerprint.to_json())
    return Analyzed(
        page=output / DATA_REPORT_HTML, report=report, excluded=fingerprint.excluded, warnings=found.warnings
    )


def work_dir(bundle: Path) -> Path:
    """The folder beside a bundle that holds cache, logs, last checkpoints and predictions."""
    return work_dir_of(bundle)


def num_folds(bundle: Path) -> int:
    """Folds that the bundle's cases were split into."""
    return 1 + max(int(item["fold"]) for item in read_json(bundle / DATALIST_JSON)["training"])


def preprocess(bundle: Path, overrides: Mapping[str, Any], *, trust: bool = False) -> None:
    """Fill the cache of prepared arrays. As all that runs a bundle: only what passes the audit, or with `trust`."""
    require_audited(bundle, trust=trust)
    run_workflow(bundle, PREPROCESS, overrides)


def train(
    bundle: Path, folds: Sequence[int], overrides: Mapping[str, Any], processes: int = 1, *, trust: bool = False
) -> None:
    """Train the given folds, one after the other. With resume, folds that are complete are passed over."""
    require_audited(bundle, trust=trust)
    _check_folds(bundle, folds)
    for fold in folds:
        if overrides.get("resume") and _is_complete(bundle, fold, overrides):
            continue
        run_workflow(bundle, TRAINING, {"fold": fold, **overrides}, processes)


def evaluate_folds(
    bundle: Path, folds: Sequence[int], overrides: Mapping[str, Any], processes: int = 1, *, trust: bool = False
) -> None:
    """Predict and score the held-out cases of the given folds."""
    require_audited(bundle, trust=trust)
    _check_folds(bundle, folds)
    for fold in folds:
        run_workflow(bundle, EVALUATING, {"fold": fold, **overrides}, processes)


def predict(
    bundle: Path,
    source: Path,
    output: Path,
    *,
    tta: bool | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    device: str | None = None,
    overwrite: bool = False,
    overrides: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> tuple[list[Path], tuple[Problem, ...]]:
    """Write a label map for every case of a CSV, a JSON or a folder, in the case's own grid.

    Args:
        bundle: a trained bundle.
        source: see `match_prediction_inputs`; channels are matched by name.
        output: folder of the label maps, `<id>.nii.gz`.
        tta: average over flips; None leaves it to the bundle.
        probabilities: write the class probabilities too.
        uncertainty: write maps of entropy and of disagreement between folds and flips too.
        device: where to compute.
        overwrite: replace label maps that are there.
        overrides: further ids of inference.json.
        trust: run a bundle that does not pass the audit.

    Returns:
        The label maps and the warnings about the input.

    Raises:
        InputError: nothing can be predicted.
        CaseFailure: some cases could not be read or were not predicted; the others were.
    """
    require_audited(bundle, trust=trust)
    plan = read_json(bundle / PLAN_JSON)
    found = match_prediction_inputs(source, plan["channel_names"])
    if not found.cases:
        raise InputError(found.problems or (Problem(str(source), "holds no case."),))
    usable, problems = _check_images(found.cases)
    problems = [*found.problems, *problems]
    targets = {case.id: output / f"{case.id}.nii.gz" for case in usable}
    for target in targets.values():
        refuse_existing(target, overwrite=overwrite)
    if usable:
        settings = {
            "output_dir": str(output.absolute()),
            "split": "testing",
            "save_probabilities": probabilities or None,
            "save_uncertainty": uncertainty or None,
            "device": device,
            "test_time_flip_axes": None if tta is None else _flip_axes(plan, tta=tta),
            **(overrides or {}),
        }
        _predict_cases(bundle, usable, settings)
    missing = [Problem(case, "was not predicted.") for case, target in targets.items() if not target.is_file()]
    problems += missing
    if problems:
        raise CaseFailure(problems, len(found.cases) + len(found.problems))
    return list(targets.values()), found.warnings


def _predict_cases(bundle: Path, cases: Sequence[Case], settings: Mapping[str, Any]) -> None:
    entries = [{"id": case.id, "image": [str(path.absolute()) for path in case.images.values()]} for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        datalist = Path(folder) / "datalist.json"
        write_json(datalist, {"training": [], "testing": entries})
        run_workflow(bundle, INFERENCE, {"datalist": str(datalist), "dataset_dir": folder, **settings})


def predict_test_set(bundle: Path, output: Path, overrides: Mapping[str, Any], *, trust: bool = False) -> int:
    """Predict the unlabelled cases that the bundle's datalist names; returns how many there are."""
    require_audited(bundle, trust=trust)
    entries = read_json(bundle / DATALIST_JSON)["testing"]
    if entries:
        run_workflow(bundle, INFERENCE, {"output_dir": str(output.absolute()), **overrides})
    return len(entries)


def _check_images(cases: Sequence[Case]) -> tuple[list[Case], list[Problem]]:
    usable, problems = [], []
    for case in cases:
        findings = check_prediction_case(case)
        problems += [Problem(case.id, finding) for finding in findings]
        if not findings:
            usable.append(case)
    return usable, problems


def _flip_axes(plan: Mapping[str, Any], *, tta: bool) -> list[int]:
    return list(plan["decisions"]["flip_axes"]["value"]) if tta else []


def _check_folds(bundle: Path, folds: Sequence[int]) -> None:
    count = num_folds(bundle)
    wrong = [fold for fold in folds if not 0 <= fold < count]
    if wrong:
        raise InputError(Problem("--fold", f"is {wrong}; this bundle has the folds 0 to {count - 1}, or 'all'."))


def _is_complete(bundle: Path, fold: int, overrides: Mapping[str, Any]) -> bool:
    status = work_dir(bundle) / f"fold_{fold}" / "status.json"
    if not status.is_file():
        return False
    content = read_json(status)
    stopped = content.get("stopped_early") and "early_stopping" not in overrides
    return bool(stopped or content["epoch"] >= int(overrides.get("epochs") or content["epochs"]))


def _folds(cases: Sequence[Case], options: PlanOptions, fold_by: str | None, fold_file: Path | None) -> dict[str, int]:
    ids = [case.id for case in cases]
    if fold_file is not None:
        given = _read_fold_file(fold_file)
        return assign_folds(ids, max(given.values(), default=1) + 1, options.seed, fold_file=given)
    if fold_by is None:
        return assign_folds(ids, options.folds, options.seed)
    without = [
        Problem(case.id, f"has no {fold_by!r}; known: {sorted(case.extra)}.")
        for case in cases
        if fold_by not in case.extra
    ]
    if without:
        raise InputError(without)
    groups = {case.id: case.extra[fold_by] for case in cases}
    return assign_folds(ids, options.folds, options.seed, groups=groups)


def _read_fold_file(path: Path) -> dict[str, int]:
    table = read_table(path)
    problems = list(table.problems)
    folds: dict[str, int] = {}
    for row in table.rows:
        value = row.cells.get(FOLD_COLUMN, "")
        if value.isdigit():
            folds[row.id] = int(value)
        else:
            problems.append(Problem(f"{path} {row.place}", f"'fold' is {value!r}; expected 0, 1, 2 …"))
    if problems:
        raise InputError(problems)
    return folds


def finalize(bundle: Path) -> Path:
    """Gather the folds: results.csv over all held-out predictions, the model card, model.pt, the manifest.

    Returns:
        The results.csv.

    Raises:
        InputError: a fold has not been trained and evaluated yet.
        CaseFailure: a case was not scored in its fold; the others are gathered, and results.json names it.
    """
    from mist_bundle.evaluation.gather import failed_cases, gather_folds, write_results

    folder = work_dir(bundle)
    tables = [folder / f"fold_{fold}" / RESULTS_CSV for fold in range(num_folds(bundle))]
    rows = gather_folds(tables)
    failed = failed_cases(tables, rows, [entry["id"] for entry in read_json(bundle / DATALIST_JSON)["training"]])
    results = folder / RESULTS_CSV
    summary = write_results(results, rows, failed)
    finalize_bundle(bundle, folder, num_folds(bundle), summary)
    if failed:
        raise CaseFailure([Problem(name, message) for name, message in sorted(failed.items())], len(rows) + len(failed))
    return results


def scored_classes(bundle: Path) -> Classes:
    """The classes that a bundle is scored by, and its labels, background first."""
    from mist_bundle.evaluation.pairs import Classes

    plan = read_json(bundle / PLAN_JSON)
    return Classes(
        final_classes={name: tuple(members) for name, members in plan["final_classes"].items()},
        labels=tuple(plan["labels"]),
        ignore_label=plan.get("ignore_label"),
    )


def probability_channels(bundle: Path) -> Channels:
    """What the channels of the probability maps mean that a bundle writes."""
    from mist_bundle.evaluation.ensemble import Channels

    plan = read_json(bundle / PLAN_JSON)
    if plan["decisions"].get("regions", {}).get("value"):
        return Channels(labels=tuple(plan["region_labels"]), region_order=tuple(plan["region_order"]))
    return Channels(labels=tuple(plan["labels"]))


def choose_postprocessing(
    bundle: Path,
    settings: ScoreSettings,
    *,
    weights: Mapping[str, float] | None = None,
    candidates: Sequence[Step] | None = None,
    min_gain: float = 0.001,
    workers: int | str = 1,
    dataset_dir: Path | None = None,
) -> tuple[Choice, Change, Path]:
    """Choose a post-processing by the out-of-fold predictions and write it into the bundle.

    Args:
        bundle: its folds were trained and evaluated.
        settings: how predictions are scored.
        weights: of the metrics; all the same by default.
        candidates: steps to try; by default a small grid made from the references.
        min_gain: what a step must add to the quality.
        workers: cases at the same time.
        dataset_dir: folder of the cases; by default the one the bundle was made from.

    Returns:
        The choice, what it changes, and the folder that tells all that was tried.

    Raises:
        InputError: a fold was not evaluated, or a case cannot be scored.
    """
    from mist_bundle.bundle.launch import configured_dataset_dir
    from mist_bundle.bundle.manifest import write_manifest
    from mist_bundle.evaluation.change import check_weights, measure_change
    from mist_bundle.evaluation.choose_postprocessing import ScoreTable, choose, default_candidates
    from mist_bundle.evaluation.out_of_fold import held_out_cases
    from mist_bundle.evaluation.postprocess import write_change

    checked = check_weights(settings, weights)
    cases = held_out_cases(bundle, work_dir(bundle), dataset_dir or configured_dataset_dir(bundle))
    foreground = [label for label in scored_classes(bundle).labels or () if label]
    pairs = [case.pair for case in cases]
    grid = tuple(candidates) if candidates else default_candidates(pairs, foreground, workers)
    table = ScoreTable(held_out=cases, settings=settings, weights=checked, workers=workers)
    chosen = choose(table, grid, min_gain)
    before, after = table.scores(()), table.scores(chosen.steps)
    change = measure_change(before, after, settings, checked)
    folder = work_dir(bundle) / "postprocessing"
    write_change(folder, before, after, change, checked)
    content = {**chosen.to_json(), "metrics": list(settings.metrics), "weights": checked}
    write_json(folder / "choice.json", {**content, "candidates": list(chosen.candidates)})
    write_json(bundle / POSTPROCESSING_JSON, content)
    write_manifest(bundle)
    return chosen, change, folder


def report(
    bundle: Path,
    output: Path | None = None,
    *,
    dataset_dir: Path | None = None,
    pictures: int = 6,
    viewer_cases: int = 3,
    workers: int | str = 1,
    overwrite: bool = False,
) -> Reported:
    """Write the page about a bundle, and a viewer of some cases beside it.

    Args:
        bundle: its folder, trained or not.
        output: the HTML file; report.html in the work folder where not given.
        dataset_dir: folder of the cases, where it is not the one that the bundle names.
        pictures: cases shown in the part about the data.
        viewer_cases: cases in the viewer; 0 for no viewer.
        workers: processes that read the predictions.
        overwrite: replace a page that is there.

    Raises:
        InputError: a page is there already, or a file of the bundle or of its work folder is damaged.
    """
    from mist_bundle.report.bundle_report import REPORT_HTML, ReportRequest, viewer_path, write_report

    page = output or work_dir(bundle) / REPORT_HTML
    for path in (page, *([viewer_path(page)] if viewer_cases else [])):
        refuse_existing(path, overwrite=overwrite)
    request = ReportRequest(
        bundle=bundle, dataset_dir=dataset_dir, pictures=pictures, viewer_cases=viewer_cases, workers=workers
    )
    return write_report(request, page)
