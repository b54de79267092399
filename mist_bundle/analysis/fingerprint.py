"""The fingerprint of a dataset: the measurements of all cases, which the planner decides from.

Cases that cannot be used are left out and named. Fingerprints of parts of a dataset can be merged.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from mist_bundle.analysis.case_stats import CaseStats, ChannelStats, measure_case
from mist_bundle.analysis.details import CaseDetails, measure_details
from mist_bundle.analysis.histogram import Histogram, add_moments
from mist_bundle.analysis.outliers import (
    implausible_sizes,
    intensity_outliers,
    modality_doubts,
    range_outliers,
    size_outliers,
)
from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.sides import SideCounts, count_sides, named_classes, side_pairs
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import memory_of_a_case
from mist_bundle.errors import InputError, Problem, problems_of
from mist_bundle.files import read_json, write_json
from mist_bundle.parallel import CaseResults, map_cases
from mist_bundle.runtime.wording import inflected

_FORMAT = 1  # of the JSON

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Measurements of all usable cases.

    Attributes:
        cases: sorted by id; never empty.
        excluded: a Problem for each case that cannot be used; its path is the case's id.
    """

    cases: tuple[CaseStats, ...]
    excluded: tuple[Problem, ...] = ()

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Ids of the usable cases."""
        return tuple(case.id for case in self.cases)

    @property
    def num_channels(self) -> int:
        """Number of image channels."""
        return len(self.cases[0].channels)

    @property
    def class_voxels(self) -> dict[int, int]:
        """Label value -> number of voxels in all cases."""
        totals = dict.fromkeys(self.cases[0].label_voxels, 0)
        for case in self.cases:
            for label in totals:
                totals[label] += case.label_voxels.get(label, 0)
        return totals

    @property
    def digests(self) -> dict[str, list[str]]:
        """Case id -> hash of each image that it has, "" where an image is constant."""
        digests: dict[str, list[str]] = {}
        for case in self.cases:
            digests[case.id] = [channel.digest for channel in case.measured_channels]
        return digests

    def sides(self, label_names: Mapping[int, str], final_classes: Mapping[str, Sequence[int]]) -> list[SideCounts]:
        """In how many cases each pair of left and right structures lies as its names say."""
        distances = {case.id: case.right_of_left_mm for case in self.cases}
        return count_sides(side_pairs(named_classes(label_names, final_classes)), distances)

    def volumes_ml(self, classes: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float]]:
        """Volume of each class in each case.

        Args:
            classes: class -> its labels.

        Returns:
            Case id -> class -> millilitres, without the classes of which some label was not annotated in the case.
        """
        volumes: dict[str, dict[str, float]] = {}
        for case in self.cases:
            voxel_ml = math.prod(case.spacing_mm) / 1000
            volumes[case.id] = {}
            for name, labels in classes.items():
                if not set(labels).isdisjoint(case.unlabelled):
                    continue
                volumes[case.id][name] = voxel_ml * sum(case.label_voxels.get(label, 0) for label in labels)
        return volumes

    def images_of(self, channel: int) -> list[ChannelStats]:
        """The measurements of a channel in the cases that have it."""
        images = []
        for case in self.cases:
            image = case.channels[channel]
            if image is not None:
                images.append(image)
        return images

    def intensity_properties(self, channel: int) -> dict[str, float]:
        """Intensities of all labelled voxels of all cases in a channel, the basis of CT normalisation.

        Images whose range is far from that of most cases are left out, so that a single image cannot decide.

        Returns:
            low, high: 0.5 and 99.5 percentile. mean, std: of the original values (paper, section 2.2).
            windowed_mean, windowed_std: of the values after clipping to [low, high].

        Raises:
            InputError: no voxel in the dataset has a label.
        """
        images = self.images_of(channel)
        outliers = range_outliers(images)
        histograms = []
        labelled = []
        for index, image in enumerate(images):
            if index not in outliers:
                histograms.append(image.histogram)
                labelled.append(image.labelled)
        histogram = Histogram.sum(histograms)
        moments = add_moments(labelled)
        if not moments.count:
            message = "no case has a voxel with a label other than 0, so there are no intensities to normalise by."
            raise InputError(Problem("labels", message))
        low = histogram.percentile(0.5)
        high = histogram.percentile(99.5)
        windowed = histogram.clipped_moments(low, high)
        return {
            "low": low,
            "high": high,
            "mean": moments.mean,
            "std": moments.std,
            "windowed_mean": windowed.mean,
            "windowed_std": windowed.std,
        }

    @property
    def typical_cases(self) -> tuple[CaseStats, ...]:
        """The cases except those whose voxel size or extent is implausibly far from the others'."""
        outliers = size_outliers(self.cases)
        return tuple(case for case in self.cases if case.id not in outliers)

    def findings(self, channel_names: Sequence[str] = (), modality: str = "") -> tuple[Problem, ...]:
        """Irregularities that a person should look at before training: of single cases, and labels that never occur.

        Args:
            channel_names: of the images; without them, intensities are not compared.
            modality: "ct", "mr" or "other".
        """
        problems = []
        for case in self.cases:
            problems += problems_of(case.id, case.problems)
        outliers = size_outliers(self.cases)
        problems += map(Problem, outliers.keys(), outliers.values())
        for problem in implausible_sizes(self.cases):
            if problem.path not in outliers:
                problems.append(problem)
        for index, name in enumerate(channel_names):
            lacking = len(self.cases) - len(self.images_of(index))
            if lacking:
                verb = inflected(lacking, "lacks", "lack")
                message = (
                    f"{lacking} of {len(self.cases)} cases {verb} this optional channel, which is then 0 in training."
                )
                problems.append(Problem(name, message))
        problems += intensity_outliers(self.cases, channel_names, modality)
        problems += modality_doubts(self.cases, modality)
        absent = []
        for label, count in self.class_voxels.items():
            if count == 0:
                absent.append(label)
        if absent:
            message = f"{absent} are listed in dataset.json, but occur in no case."
            problems.append(Problem("labels", f"{message} Correct the list, or look at the masks."))
        return tuple(problems)

    def merge(self, other: Fingerprint) -> Fingerprint:
        """The fingerprint of both sets of cases combined."""
        cases = sorted((*self.cases, *other.cases), key=lambda case: case.id)
        return Fingerprint(cases=tuple(cases), excluded=(*self.excluded, *other.excluded))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "format": _FORMAT,
            "cases": list(map(CaseStats.to_json, self.cases)),
            "excluded": list(map(asdict, self.excluded)),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Fingerprint:
        """The inverse of `to_json`."""
        return cls(
            cases=tuple(map(CaseStats.from_json, content["cases"])),
            excluded=tuple(Problem(row["path"], row["message"]) for row in content["excluded"]),
        )

    def write(self, path: Path) -> None:
        """Write as a JSON file, atomically."""
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Fingerprint:
        """Read a JSON file written by `write`.

        Raises:
            InputError: the file is missing or not a fingerprint.
        """
        content = read_json(path)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            message = f"is not a fingerprint of format {_FORMAT}. Create it again with the analyze command."
            raise InputError(Problem(str(path), message))
        return cls.from_json(content)


def analyze(
    spec: DatasetSpec,
    cases: Sequence[Case],
    workers: int | str | None = None,
    progress: bool | None = None,
    excluded: Sequence[Problem] = (),
) -> Fingerprint:
    """Measure all training cases. Cases that cannot be used are left out and named.

    Args:
        spec: the dataset.
        cases: training cases, from `find_cases`.
        workers: number of local processes, or the address of a Dask scheduler.
        progress: show a progress bar; None shows it on a terminal.
        excluded: problems of cases that were left out before (`find_cases(...).problems`).

    Raises:
        InputError: no case is usable; lists the problems of all cases.
    """
    measured = _map_training_cases(measure_case, spec, cases, workers, progress)
    return _gather(spec, measured.results, (*excluded, *measured.problems))


def analyze_in_detail(
    spec: DatasetSpec, cases: Sequence[Case], workers: int | str | None = None, excluded: Sequence[Problem] = ()
) -> tuple[Fingerprint, list[CaseDetails]]:
    """Like `analyze`, and also measure shape, lesions and intensities of each structure, which takes longer.

    Returns:
        The fingerprint, and the details of each usable case.

    Raises:
        InputError: no case is usable; lists the problems of all cases.
    """
    measured = _map_training_cases(measure_details, spec, cases, workers)
    stats = [detail.stats for detail in measured.results]
    return _gather(spec, stats, (*excluded, *measured.problems)), measured.results


def _map_training_cases(
    measure: Callable[..., Result],
    spec: DatasetSpec,
    cases: Sequence[Case],
    workers: int | str | None,
    progress: bool | None = None,
) -> CaseResults[Result]:
    """The results of `measure(case, spec=spec)`."""
    function = functools.partial(measure, spec=spec)
    return map_cases(
        function,
        cases,
        name=_case_id,
        workers=workers,
        description="analyze",
        progress=progress,
        case_bytes=memory_of_a_case(list(map(_files_of, cases))),
    )


def _files_of(case: Case) -> list[Path]:
    files = list(case.images.values())
    return files if case.label is None else [*files, case.label]


def _gather(spec: DatasetSpec, measured: Sequence[CaseStats], left_out: Sequence[Problem]) -> Fingerprint:
    if not measured:
        raise InputError([*left_out, Problem(str(spec.train_dir), "no usable case is left.")])
    _refuse_empty_channels(spec, measured, left_out)
    return Fingerprint(
        cases=tuple(sorted(measured, key=lambda case: case.id)),
        excluded=tuple(sorted(left_out, key=lambda problem: problem.path)),
    )


def _refuse_empty_channels(spec: DatasetSpec, measured: Sequence[CaseStats], left_out: Sequence[Problem]) -> None:
    problems = []
    for index, name in enumerate(spec.channel_names):
        if all(case.channels[index] is None for case in measured):
            message = "no usable case has this channel. Remove it of images and optional_images, or add its files."
            problems.append(Problem(f"{spec.json_path}: $.images.{name}", message))
    if problems:
        raise InputError([*left_out, *problems])


def _case_id(case: Case) -> str:
    return case.id
