"""All cases of a dataset, measured: what the planner decides from. Fingerprints of parts add up to that of the whole.

Cases that cannot be used are left out and named; the plan then says on how many cases it rests.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mist_bundle.analysis.case_stats import CaseStats, measure_case
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
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import read_json, write_json
from mist_bundle.parallel import map_cases

_FORMAT = 1  # of the JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """Measurements of all usable cases, sorted by id, and the cases left out.

    Attributes:
        cases: at least one.
        excluded: one Problem for each case that cannot be used; its path is the case's id.
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
        labels = self.cases[0].label_voxels
        return {label: sum(case.label_voxels.get(label, 0) for case in self.cases) for label in labels}

    def intensity_properties(self, channel: int) -> dict[str, float]:
        """Intensities of all labelled voxels of all cases in one channel, the basis of CT normalisation.

        Returns:
            low, high: 0.5 and 99.5 percentile. mean, std: of the values as they are (paper, section 2.2).
            windowed_mean, windowed_std: of the values after clipping to [low, high].

        Raises:
            InputError: no voxel in the dataset has a label.
        """
        odd = range_outliers([case.channels[channel] for case in self.cases])  # one image must not decide for all
        stats = [case.channels[channel] for index, case in enumerate(self.cases) if index not in odd]
        histogram = Histogram.sum(entry.histogram for entry in stats)
        moments = add_moments(entry.labelled for entry in stats)
        if not moments.count:
            message = "no case has a voxel with a label other than 0, so there are no intensities to normalise by."
            raise InputError(Problem("labels", message))
        low, high = histogram.percentile(0.5), histogram.percentile(99.5)
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
        """The cases without those whose voxel size or extent is implausibly far from the others'."""
        odd = size_outliers(self.cases)
        return tuple(case for case in self.cases if case.id not in odd)

    def findings(self, channel_names: Sequence[str] = (), modality: str = "") -> tuple[Problem, ...]:
        """What a person should look at before training: oddities of single cases, and labels that never occur.

        Args:
            channel_names: of the images; without them, intensities are not compared.
            modality: "ct", "mr" or "other".
        """
        found = [Problem(case.id, problem) for case in self.cases for problem in case.problems]
        odd = size_outliers(self.cases)
        found += [Problem(case_id, message) for case_id, message in odd.items()]
        found += [problem for problem in implausible_sizes(self.cases) if problem.path not in odd]
        found += [*intensity_outliers(self.cases, channel_names, modality), *modality_doubts(self.cases, modality)]
        absent = [label for label, count in self.class_voxels.items() if count == 0]
        if absent:
            message = f"{absent} are listed in dataset.json, but occur in no case."
            found.append(Problem("labels", f"{message} Correct the list, or look at the masks."))
        return tuple(found)

    def merge(self, other: Fingerprint) -> Fingerprint:
        """The fingerprint of both sets of cases together."""
        cases = sorted((*self.cases, *other.cases), key=lambda case: case.id)
        return Fingerprint(cases=tuple(cases), excluded=(*self.excluded, *other.excluded))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "format": _FORMAT,
            "cases": [case.to_json() for case in self.cases],
            "excluded": [asdict(problem) for problem in self.excluded],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Fingerprint:
        """The inverse of `to_json`."""
        return cls(
            cases=tuple(CaseStats.from_json(case) for case in content["cases"]),
            excluded=tuple(Problem(**problem) for problem in content["excluded"]),
        )

    def write(self, path: Path) -> None:
        """Write as a JSON file, atomically."""
        write_json(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Fingerprint:
        """Read a JSON file that `write` made.

        Raises:
            InputError: the file is absent or holds something else.
        """
        content = read_json(path)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            message = f"is no fingerprint of format {_FORMAT}. Make it again with the analyze command."
            raise InputError(Problem(str(path), message))
        return cls.from_json(content)


def analyze(
    spec: DatasetSpec,
    cases: Sequence[Case],
    workers: int | str | None = None,
    progress: bool | None = None,
    excluded: Sequence[Problem] = (),
) -> Fingerprint:
    """Measure all training cases; those that cannot be used are left out by name.

    Args:
        spec: the dataset.
        cases: training cases, as `find_cases` gives them.
        workers: local processes, or the address of a Dask scheduler.
        progress: show a progress bar; None shows it on a terminal.
        excluded: problems of cases that were left out before (`find_cases(...).problems`).

    Raises:
        InputError: no case is usable; holds the problems of all.
    """
    measured = map_cases(
        functools.partial(measure_case, spec=spec),
        cases,
        name=_case_id,
        workers=workers,
        description="analyze",
        progress=progress,
    )
    return _gather(spec, measured.results, (*excluded, *measured.problems))


def analyze_in_detail(
    spec: DatasetSpec, cases: Sequence[Case], workers: int | str | None = None, excluded: Sequence[Problem] = ()
) -> tuple[Fingerprint, list[CaseDetails]]:
    """The same, with shapes, lesions and intensities of each structure, which take longer; files are read once."""
    measured = map_cases(
        functools.partial(measure_details, spec=spec),
        cases,
        name=_case_id,
        workers=workers,
        description="analyze",
    )
    stats = [detail.stats for detail in measured.results]
    return _gather(spec, stats, (*excluded, *measured.problems)), measured.results


def _gather(spec: DatasetSpec, measured: Sequence[CaseStats], left_out: Sequence[Problem]) -> Fingerprint:
    if not measured:
        raise InputError([*left_out, Problem(str(spec.train_dir), "no usable case is left.")])
    found = sorted(measured, key=lambda case: case.id)
    return Fingerprint(cases=tuple(found), excluded=tuple(sorted(left_out, key=lambda problem: problem.path)))


def _case_id(case: Case) -> str:
    return case.id
