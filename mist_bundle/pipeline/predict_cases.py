"""Predict with a trained bundle: the cases that a user names, or those of the bundle's own test set."""

from __future__ import annotations

import shlex
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import INFERENCE, WorkflowFailed, run_workflow
from mist_bundle.dataset.cases import Case, CaseList, channel_files
from mist_bundle.dataset.dicom import Series
from mist_bundle.dataset.joint_channels import joint_image, with_split_channels
from mist_bundle.errors import EXIT_INPUT_REFUSED, CaseFailure, InputError, MistBundleError, Problem, count_paths
from mist_bundle.files import (
    DATALIST_JSON,
    SCRIPTS_FOLDER,
    check_can_write,
    read_json,
    read_text,
    real_path,
    write_json,
)
from mist_bundle.pipeline.predict_dicom import SegmentationWriter, segmentation_path
from mist_bundle.pipeline.predict_formats import DICOM_SEG, NIFTI, OutputPlace, contrary_sides
from mist_bundle.pipeline.predict_inputs import find_inputs
from mist_bundle.pipeline.predict_stock import predict_with_stock_bundle
from mist_bundle.pipeline.shares import Crew, SharedRun, choose_crew, run_in_shares
from mist_bundle.pipeline.workflows import open_to_run
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.predictions.records import read_failure, record_path, volume_path

# ids of inference.json -> the option of this command that sets them
_OWN_IDS = {
    "output_dir": "--output",
    "split": "--input",
    "datalist": "--input",
    "save_probabilities": "--probabilities",
    "save_uncertainty": "--uncertainty",
}


def predict(
    bundle: Path,
    source: Path,
    output: Path,
    *,
    tta: bool | None = None,
    probabilities: bool = False,
    uncertainty: bool = False,
    device: str | None = None,
    workers: int | str | None = None,
    devices: str | Sequence[int] | None = None,
    output_format: str = NIFTI,
    segment_codes: Mapping[str, Any] | None = None,
    resample: bool = False,
    overwrite: bool = False,
    overrides: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> tuple[list[Path], tuple[Problem, ...]]:
    """Write a label map for every case of a CSV, a JSON or a folder, in the case's own grid.

    Label maps of the same weights, settings and images that exist already are kept.

    Args:
        bundle: a trained bundle.
        source: see `match_prediction_inputs`; channels are matched by name.
        output: folder of the label maps, `<id>.nii.gz`, or the file of a single case.
        tta: average over flips; None leaves it to the bundle.
        probabilities: write the class probabilities too.
        uncertainty: write maps of entropy and of disagreement between folds and flips too.
        device: where to compute.
        workers: processes that share the cases, or the address of a Dask scheduler; see `choose_crew`.
        devices: numbers of the GPUs that share the cases; None for every visible GPU.
        output_format: of OUTPUT_FORMATS in predict_formats. In formats other than NIfTI `<id>.nrrd` and the like are
            written, and the label maps that they are made of are in `nifti/`. With DICOM_SEG the segmentation
            `<id>.dcm` of each series is written, too.
        segment_codes: codes of classes in DICOM segmentations; see `read_codes`.
        resample: make slices of DICOM series even where they are uneven, missing, or shifted sideways.
        overwrite: replace label maps of another origin.
        overrides: further ids of inference.json.
        trust: run a bundle that does not pass the audit.

    Returns:
        The label maps and the warnings about the input.

    Raises:
        InputError: nothing can be predicted, or label maps are in the way.
        CaseFailure: some cases could not be read or predicted, each named with the reason; the others were.
    """
    _refuse_own_ids(overrides or {})
    opened = open_to_run(bundle, trust=trust)
    if not opened.has_plan:
        _refuse_options(
            opened,
            tta=tta,
            probabilities=probabilities,
            uncertainty=uncertainty,
            output_format=output_format != NIFTI,
            segment_codes=bool(segment_codes),
            resample=resample,
            devices=devices is not None,
        )
        return predict_with_stock_bundle(bundle, source, output, device=device, overrides=overrides or {})
    if "ckpt_path" not in (overrides or {}):
        _require_weights(opened)
    plan = opened.plan
    crew = choose_crew(bundle, INFERENCE, {"device": device, **(overrides or {})}, workers, devices)
    segmentations = _segmentation_writer(opened, output_format, segment_codes, resample=resample)
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as scratch:
        place = OutputPlace.of(output, output_format, Path(scratch), overwrite=overwrite)
        place.refuse_maps(probabilities=probabilities, uncertainty=uncertainty)
        inputs = find_inputs(source, plan.channel_names, Path(scratch), resample=resample, optional=plan.optional_names)
        matched, names = inputs.cases, inputs.names
        if segmentations is not None:
            inputs.require_series(f"--output_format {DICOM_SEG}")
            if not overwrite:
                segmentations.refuse_foreign(output, names)
        place.check(matched.cases, overwrite=overwrite)
        _check_output(place.folder if place.is_file else output, source, matched.cases)
        with _keeping(matched.warnings):
            problems = _predict_matched(
                opened, plan, matched, place.folder, tta=tta, probabilities=probabilities,
                uncertainty=uncertainty, device=device, crew=crew, overwrite=overwrite, overrides=overrides or {},
            )  # fmt: skip
        problems = [*matched.problems, *problems]
        written, not_placed = place.place(matched.cases, {problem.path: problem.message for problem in problems})
        problems += not_placed
        warnings = [*matched.warnings, *contrary_sides(plan, place.folder, names)]
        if segmentations is not None:
            failed = {problem.path for problem in problems}
            predicted = [name for name in names if name not in failed]
            remarks, not_written = _write_segmentations(
                segmentations, predicted, inputs.series, output, overwrite=overwrite
            )
            warnings += [*segmentations.warnings, *remarks]
            problems += not_written
            written = list(map(partial(segmentation_path, output), names))
    if problems:
        raise CaseFailure(problems, len(matched.cases) + count_paths(matched.problems), warnings=warnings)
    return written, tuple(warnings)


@contextmanager
def _keeping(warnings: Sequence[Problem]) -> Iterator[None]:
    """A failure of the block carries the warnings that were known before."""
    try:
        yield
    except MistBundleError as error:
        error.warnings = (*warnings, *error.warnings)
        raise


def _segmentation_writer(
    bundle: Bundle, output_format: str, codes: Mapping[str, Any] | None, *, resample: bool
) -> SegmentationWriter | None:
    """What writes DICOM segmentations; None where none are requested."""
    if output_format == DICOM_SEG:
        return SegmentationWriter.of_bundle(bundle, codes, resample=resample)
    if codes:
        message = f"belongs to --output_format {DICOM_SEG}. Add it, or leave it out."
        raise InputError(Problem("--segment_codes", message))
    return None


def _write_segmentations(
    writer: SegmentationWriter, names: Sequence[str], series: Mapping[str, Series], output: Path, *, overwrite: bool
) -> tuple[list[Problem], list[Problem]]:
    """Write the segmentation of each predicted case; remarks, and a Problem for each that could not be written."""
    remarks: list[Problem] = []
    problems: list[Problem] = []
    for name in names:
        try:
            remarks += writer.write(name, series[name], output, overwrite=overwrite)
        except InputError as error:
            problems += [Problem(f"{name}: {problem.path}", problem.message) for problem in error.problems]
    return remarks, problems


def _predict_matched(
    bundle: Bundle,
    plan: Plan,
    matched: CaseList,
    output: Path,
    *,
    tta: bool | None,
    probabilities: bool,
    uncertainty: bool,
    device: str | None,
    crew: Crew | None,
    overwrite: bool,
    overrides: Mapping[str, Any],
) -> list[Problem]:
    """Predict the cases; a Problem for each that failed."""
    names = [case.id for case in matched.cases]
    if not overwrite:
        _refuse_unknown(output, names)
    settings = {
        "output_dir": str(output.absolute()),
        "split": "testing",
        "save_probabilities": probabilities or None,
        "save_uncertainty": uncertainty or None,
        "overwrite": overwrite or None,
        "device": device,
        "test_time_flip_axes": _flip_axes(plan, tta),
        **overrides,
    }
    joint = {case.id: joint_image(case) for case in matched.cases}
    if not any(joint.values()) or _reads_joint_images(bundle.root):
        entries = [_entry(case, plan.channel_names) for case in matched.cases]
        return _predict_cases(bundle.root, entries, output, settings, crew)
    with tempfile.TemporaryDirectory(prefix="mist_bundle_") as scratch:
        cases, problems = with_split_channels(matched.cases, Path(scratch))
        if not cases:
            return problems
        entries = [_entry(case, plan.channel_names, joint[case.id]) for case in cases]
        return [*problems, *_predict_cases(bundle.root, entries, output, settings, crew)]


def _reads_joint_images(bundle: Path) -> bool:
    """Whether the scripts of a bundle read an image that is named once for each of its channels.

    Those of bundles that older versions wrote need a file for each channel.
    """
    reader = bundle / SCRIPTS_FOLDER / "transforms" / "nifti_reader.py"
    return reader.is_file() and "num_channels" in read_text(reader)


def _refuse_own_ids(overrides: Mapping[str, Any]) -> None:
    """Refuse ids that this command sets itself: what the user would set twice goes to places that nobody looks at."""
    problems = []
    for name, option in _OWN_IDS.items():
        if overrides.get(name) is not None:
            problems.append(Problem(f"--{name}", f"is set by {option} of this command. Leave it out."))
    if problems:
        raise InputError(problems)


def _require_weights(bundle: Bundle) -> None:
    weights = bundle.models / "model.pt"
    if not weights.is_file():
        message = f"is not there. Train the bundle first: mist-bundle train {shlex.quote(str(bundle.root))}."
        raise InputError(Problem(str(weights), message))


def _refuse_options(folder: Bundle, **options: bool | None) -> None:
    """Refuse what only bundles with a plan can do."""
    problems = []
    for name, value in options.items():
        if value:
            problems.append(Problem(f"--{name}", f"{folder.root} was not generated by mist-bundle and cannot do that."))
    if problems:
        raise InputError(problems)


def predict_test_set(bundle: Path, output: Path, overrides: Mapping[str, Any], *, trust: bool = False) -> int:
    """Predict the unlabelled cases that the bundle's datalist names; returns how many there are.

    Raises:
        CaseFailure: some could not be predicted, each named with the reason; the others were.
    """
    opened = open_to_run(bundle, trust=trust)
    cases = opened.datalist.testing
    if cases:
        # in the work folder: predictions of other weights are replaced
        settings = {"output_dir": str(output.absolute()), "overwrite": True, **overrides}
        crew = choose_crew(bundle, INFERENCE, overrides)
        if crew is None:
            problems = _run(bundle, [case.id for case in cases], output, settings)
        else:
            entries = read_json(opened.root / DATALIST_JSON)["testing"]
            problems = _run_in_shares(bundle, entries, output, settings, crew)
        if problems:
            raise CaseFailure(problems, len(cases))
    return len(cases)


def _check_output(output: Path, source: Path, cases: Sequence[Case]) -> None:
    """Refuse a folder that cannot be written, or in which label maps would lie among the images."""
    check_can_write(output)
    place, images = real_path(output), real_path(source)
    folders = set()
    for case in cases:
        for path in case.images.values():
            folders.add(real_path(path).parent)
    if place in folders or (images.is_dir() and (place == images or images in place.parents)):
        message = f"is {output}, among the images that are predicted; the next run would take label maps for images."
        raise InputError(Problem("--output", f"{message} Choose a place outside."))


def _refuse_unknown(output: Path, names: Sequence[str]) -> None:
    """Refuse to replace files without a record at once; the bundle's own code judges those with a record."""
    problems = []
    for name in names:
        target = volume_path(output, name)
        if (target.exists() or target.is_symlink()) and not record_path(output, name).exists():
            message = "exists already and was not written by this command. Choose another folder, or pass --overwrite."
            problems.append(Problem(str(target), message))
    if problems:
        raise InputError(problems)


def _entry(case: Case, channel_names: Sequence[str], joint: Path | None = None) -> dict[str, Any]:
    """An entry of a datalist, with absolute paths; `joint` is the image that the channels were split from."""
    files, missing = channel_files(case, channel_names)
    entry: dict[str, Any] = {"id": case.id, "image": [str(file.absolute()) for file in files]}
    if missing:
        entry["missing"] = missing
    if joint is not None:
        entry["joint"] = str(joint.absolute())  # by which these scripts know a prediction of the same image
    return entry


def _predict_cases(
    bundle: Path, entries: Sequence[Mapping[str, Any]], output: Path, settings: Mapping[str, Any], crew: Crew | None
) -> list[Problem]:
    names = [entry["id"] for entry in entries]
    if crew is not None:
        return _run_in_shares(bundle, entries, output, {"dataset_dir": str(bundle.absolute()), **settings}, crew)
    with tempfile.TemporaryDirectory() as folder:
        datalist = Path(folder) / "datalist.json"
        write_json(datalist, {"training": [], "testing": entries})
        places = {"datalist": str(datalist), "dataset_dir": folder}
        return _run(bundle, names, output, {**places, **settings})


def _run_in_shares(
    bundle: Path, entries: Sequence[Mapping[str, Any]], output: Path, settings: Mapping[str, Any], crew: Crew
) -> list[Problem]:
    """Like `_run`, with the cases shared out."""
    shared = SharedRun(bundle=bundle.absolute(), workflow=INFERENCE, part="testing", settings=settings)
    try:
        problems = run_in_shares(shared, entries, crew)
    except WorkflowFailed as error:
        raise _of_another_origin(output) from error
    return _not_predicted([str(entry["id"]) for entry in entries], output, problems)


def _run(bundle: Path, names: Sequence[str], output: Path, settings: Mapping[str, Any]) -> list[Problem]:
    """Run the inference; a Problem for each case that has no label map after it."""
    failure: WorkflowFailed | None = None
    try:
        run_workflow(bundle, INFERENCE, settings)
    except WorkflowFailed as error:
        if error.exit_code == EXIT_INPUT_REFUSED:
            raise _of_another_origin(output) from error
        failure = error
    problems = _not_predicted(names, output)
    if failure is not None and not any(map(partial(read_failure, output), names)):
        killed = failure.exit_code == -signal.SIGKILL and problems
        at_work = f" The case at work was {problems[0].path}." if killed else ""
        raise WorkflowFailed(f"{failure}{at_work}", failure.exit_code)  # it is not about single cases
    return problems


def _of_another_origin(output: Path) -> InputError:
    return InputError(Problem(str(output), "holds label maps of these cases of another origin; they are named above."))


def _not_predicted(names: Sequence[str], output: Path, known: Sequence[Problem] = ()) -> list[Problem]:
    """A Problem for each case without a label map, or with a record that it failed.

    Args:
        names: of all cases.
        output: folder of the label maps.
        known: why the runs that these cases were shares of failed.
    """
    reasons = {problem.path: problem.message for problem in known}
    problems = []
    for name in names:
        reason = read_failure(output, name)
        if not reason and not volume_path(output, name).is_file():
            reason = reasons.get(name, "was not predicted.")
        if reason:
            problems.append(Problem(name, reason))
    return problems


def _flip_axes(plan: Plan, tta: bool | None) -> list[int] | None:
    if tta is None:
        return None
    return list(plan.flip_axes.value) if tta else []
