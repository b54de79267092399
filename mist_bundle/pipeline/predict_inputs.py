"""The cases that a prediction is for; DICOM series among them become images first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mist_bundle.dataset.cases import Case, CaseList
from mist_bundle.dataset.dicom import Series, remarks_about
from mist_bundle.dataset.dicom_layout import holds_dicom, named_series, single_series, write_series
from mist_bundle.dataset.prediction_inputs import match_prediction_inputs
from mist_bundle.errors import InputError, Problem


@dataclass(slots=True)
class PredictionInputs:
    """The cases to predict.

    Attributes:
        cases: those that are usable, and what is wrong with the others.
        series: of a case by its id, where it is DICOM: of the first channel that is.
    """

    cases: CaseList
    series: dict[str, Series] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The ids of the usable cases."""
        return [case.id for case in self.cases.cases]

    def require_series(self, what: str) -> None:
        """Check that every case is DICOM.

        Raises:
            InputError: names the cases that are not.
        """
        problems = []
        for case in self.cases.cases:
            if case.id not in self.series:
                images = ", ".join(map(str, case.images.values()))
                message = f"needs the DICOM series of the images, and {case.id} has {images}."
                problems.append(Problem(what, f"{message} Give the folder of its series, or choose another format."))
        if problems:
            raise InputError(problems)


def find_inputs(
    source: Path,
    channel_names: Sequence[str],
    scratch: Path,
    *,
    resample: bool = False,
    optional: Collection[str] = (),
) -> PredictionInputs:
    """List the cases of a table or folder, or of a folder of DICOM studies.

    A cell of a table may be the folder of a DICOM series, too.

    Args:
        source: see `match_prediction_inputs`.
        channel_names: channels of the model, in its order.
        scratch: folder for the images that DICOM series become.
        resample: make slices even where they are uneven, missing, or shifted sideways.
        optional: channels that a case may lack.

    Raises:
        InputError: no case is usable.
    """
    if source.is_dir() and holds_dicom(source):
        return _studies(source, channel_names, scratch, resample=resample)
    matched = match_prediction_inputs(source, channel_names, optional=optional)
    inputs = _with_series_as_images(matched, scratch, resample=resample)
    if not inputs.cases.cases:
        raise InputError(inputs.cases.problems or (Problem(str(source), "holds no case."),))
    return inputs


def _studies(source: Path, channel_names: Sequence[str], scratch: Path, *, resample: bool) -> PredictionInputs:
    if len(channel_names) != 1:
        message = f"holds DICOM series, but the model takes {len(channel_names)} channels ({', '.join(channel_names)})."
        columns = ",".join(("id", *channel_names))
        advice = f"Give a CSV table with the columns {columns}, and in its cells the folder of each series."
        raise InputError(Problem(str(source), f"{message} {advice}"))
    written, problems = write_series(named_series(source), scratch, resample=resample)
    if not written:
        raise InputError(problems)
    (channel,) = channel_names
    cases = tuple(Case(id=entry.id, images={channel: scratch / f"{entry.id}.nii.gz"}) for entry in written)
    warnings = []
    for entry in written:
        warnings += _remarks(entry.id, [entry.series])
    matched = CaseList(cases=cases, problems=tuple(problems), warnings=tuple(warnings))
    return PredictionInputs(matched, {entry.id: entry.series for entry in written})


def _with_series_as_images(matched: CaseList, scratch: Path, *, resample: bool) -> PredictionInputs:
    """The cases of a table, with an image in the place of each folder of a series."""
    cases: list[Case] = []
    problems, warnings = list(matched.problems), list(matched.warnings)
    series: dict[str, Series] = {}
    for case in matched.cases:
        folders = {channel: path for channel, path in case.images.items() if path.is_dir()}
        if not folders:
            cases.append(case)
            continue
        converted, findings = _convert(folders, scratch / case.id, resample=resample)
        if findings:
            problems += [Problem(case.id, str(problem)) for problem in findings]
            continue
        series[case.id] = next(iter(converted.values()))
        warnings += _remarks(case.id, converted.values())
        images = dict(case.images)
        for channel in converted:
            images[channel] = _image_of(scratch / case.id, channel)
        cases.append(replace(case, images=images))
    usable = CaseList(cases=tuple(cases), problems=tuple(problems), warnings=tuple(warnings))
    return PredictionInputs(usable, series)


def _remarks(case: str, series: Iterable[Series]) -> list[Problem]:
    remarks = []
    for channel in series:
        remarks += [Problem(case, remark) for remark in remarks_about(channel)]
    return remarks


def _convert(folders: dict[str, Path], target: Path, *, resample: bool) -> tuple[dict[str, Series], list[Problem]]:
    """Write the image of each channel; its series, and what is wrong."""
    converted: dict[str, Series] = {}
    problems: list[Problem] = []
    for channel, folder in folders.items():
        try:
            converted[channel] = single_series(folder, _image_of(target, channel), resample=resample)
        except InputError as error:
            problems += error.problems
    return converted, problems


def _image_of(folder: Path, channel: str) -> Path:
    return folder / f"{channel}.nii.gz"
