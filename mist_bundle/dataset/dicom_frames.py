"""The slices of DICOM files: where their pixels lie in the patient, and whether slices make a volume.

Slices are sorted along the normal of their plane (DICOM PS3.3 C.7.6.2), never by file names or instance numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.numerics.same_grid import TOLERANCE_VOXELS
from mist_bundle.runtime.wording import MOST_NAMES

if TYPE_CHECKING:
    from pydicom import Dataset

_ANGLE_TOLERANCE = 1e-3  # of direction cosines
_SAME_SPACING = 0.01  # share by which the pixel spacings of slices may differ: scanners write rounded numbers
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Frame:
    """A slice: where its pixels are, and where they lie in the patient.

    Attributes:
        path: the file.
        number: of the frame in a file of several; None for a file of one.
        position_mm: centre of the first pixel, in LPS.
        cosines: directions of a row and of a column, (2, 3).
        pixel_spacing_mm: distance of rows, then of columns.
        shape: rows, columns.
        thickness_mm: of the slice; None where the file does not say.
        has_scale: whether the file has a RescaleSlope and RescaleIntercept of its own.
    """

    path: Path
    number: int | None
    position_mm: NDArray[np.float64]
    cosines: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    shape: tuple[int, int]
    thickness_mm: float | None
    has_scale: bool

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slice."""
        return np.cross(self.cosines[0], self.cosines[1])

    @property
    def name(self) -> str:
        """Its file, and its number in a file of several, for messages."""
        return self.path.name if self.number is None else f"{self.path.name} frame {self.number + 1}"


def frames_of(path: Path, dataset: Dataset) -> list[Frame]:
    """The slices of a file.

    Raises:
        InputError: the file does not say where its pixels lie.
    """
    shape = (int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0))
    if 0 in shape:
        raise InputError(Problem(str(path), f"has {shape[0]} x {shape[1]} pixels."))
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        _require(path, dataset, "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        if int(dataset.get("NumberOfFrames") or 1) > 1:
            message = "has many frames, of which it does not say where each lies in the patient."
            raise InputError(Problem(str(path), message))
        return [_frame(path, None, dataset, dataset, dataset, shape)]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    frames = []
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        position = _functional_group(path, group, shared, "PlanePositionSequence")
        orientation = _functional_group(path, group, shared, "PlaneOrientationSequence")
        measures = _functional_group(path, group, shared, "PixelMeasuresSequence")
        frames.append(_frame(path, number, position, orientation, measures, shape))
    return frames


def sorted_frames(frames: Sequence[Frame]) -> list[Frame]:
    """Slices in the order in which they lie along the normal of the first."""
    normal = frames[0].normal
    return sorted(frames, key=lambda frame: float(frame.position_mm @ normal))


def affine_of(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Affine of sorted, regular slices: index of column, row and slice -> RAS+ millimetres."""
    first, last = frames[0], frames[-1]
    affine = np.eye(4)
    affine[:3, 0] = first.cosines[0] * first.pixel_spacing_mm[1]  # along a row the column index grows
    affine[:3, 1] = first.cosines[1] * first.pixel_spacing_mm[0]
    affine[:3, 2] = first.normal * (first.thickness_mm or 1.0)
    if len(frames) > 1:
        affine[:3, 2] = (last.position_mm - first.position_mm) / (len(frames) - 1)
    affine[:3, 3] = first.position_mm
    return LPS_TO_RAS @ affine


class Finding(NamedTuple):
    """Why slices make no volume, and what to do."""

    what: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what}. {self.advice}".rstrip()


def findings_about(frames: Sequence[Frame], *, resample: bool = False) -> list[Finding]:
    """Why slices make no volume; empty where they do.

    A slice may lie a tenth of the distance of slices, or of a pixel, from its regular place, as files everywhere may
    (same_grid).

    Args:
        frames: in any order.
        resample: leave out what resampling to even slices mends: missing and uneven slices, and a tilted gantry.
    """
    findings = list(_different_planes(frames))
    if not findings and len(frames) > 1:
        ordered = sorted_frames(frames)
        findings = list(_at_same_place(ordered))
        if not resample and not findings:
            findings = [*_uneven(ordered), *_shifted_sideways(ordered)]
    more = len(findings) - MOST_NAMES
    return findings if more <= 0 else [*findings[:MOST_NAMES], Finding(f"{more} more findings of this kind")]


def typical_gap(gaps: NDArray[np.float64]) -> float:
    """The usual distance of neighbours, those at the same place left out; 0 where all are."""
    apart = gaps[gaps > _ANGLE_TOLERANCE]
    return float(np.median(apart)) if len(apart) else 0.0


def _different_planes(frames: Sequence[Frame]) -> Iterator[Finding]:
    first = frames[0]
    remove = "Remove what does not belong to the series."
    for frame in frames[1:]:
        if frame.shape != first.shape:
            sizes = f"{frame.shape[0]} x {frame.shape[1]} pixels, {first.name} {first.shape[0]} x {first.shape[1]}"
            yield Finding(f"{frame.name} has {sizes}", remove)
        elif not np.allclose(frame.cosines, first.cosines, atol=_ANGLE_TOLERANCE):
            yield Finding(f"{frame.name} lies in another plane than {first.name}", "Give a series of parallel slices.")
        elif not np.allclose(frame.pixel_spacing_mm, first.pixel_spacing_mm, rtol=_SAME_SPACING):
            yield Finding(f"{frame.name} has another pixel spacing than {first.name}", remove)
        elif frame.has_scale != first.has_scale:
            scaled, plain = (frame, first) if frame.has_scale else (first, frame)
            yield Finding(f"{plain.name} has no RescaleSlope and RescaleIntercept, {scaled.name} has", "Get it again.")


def _at_same_place(frames: Sequence[Frame]) -> Iterator[Finding]:
    heights = _heights(frames)
    typical = typical_gap(np.diff(heights))
    if typical == 0:
        yield Finding(f"its {len(frames)} slices lie at the same place", "Give a series of slices side by side.")
        return
    counts = np.unique(np.round((heights - heights[0]) / typical), return_counts=True)[1]
    if counts.min() > 1 and counts.min() == counts.max():
        many = f"holds {counts[0]} images at each of {len(counts)} places (times, echoes, b-values, or copies)"
        yield Finding(many, "Give a series of a single volume.")
        return
    for index in np.flatnonzero(np.diff(heights) <= TOLERANCE_VOXELS * typical).tolist():
        names = f"{frames[index].name} and {frames[index + 1].name}"
        yield Finding(f"{names} lie at the same place ({heights[index]:.2f} mm)", "Remove the doubled slice.")


def _uneven(frames: Sequence[Frame]) -> Iterator[Finding]:
    heights = _heights(frames)
    gaps = np.diff(heights)
    typical = typical_gap(gaps)
    tolerance = TOLERANCE_VOXELS * typical
    if np.abs(heights - np.linspace(heights[0], heights[-1], len(heights))).max() <= tolerance:
        return  # rounded positions add up to nothing
    odd = np.flatnonzero(np.abs(gaps - typical) > tolerance).tolist()
    for index in odd:
        names = f"{frames[index].name} and {frames[index + 1].name}"
        missing = round(float(gaps[index]) / typical) - 1
        reason = f"{missing} missing" if missing > 0 else "unevenly spaced"
        apart = f"{names} are {gaps[index]:.3f} mm apart, the others {typical:.3f} mm: {reason}"
        yield Finding(apart, "Complete the series, or pass --resample.")
    if not odd:
        apart = f"its slices are unevenly spaced, {gaps.min():.3f} to {gaps.max():.3f} mm apart"
        yield Finding(apart, "Pass --resample to make them even.")


def _shifted_sideways(frames: Sequence[Frame]) -> Iterator[Finding]:
    away = np.stack([frame.position_mm for frame in frames]) - frames[0].position_mm
    sideways = away @ frames[0].cosines.T
    length = float(np.linalg.norm(away[-1]))
    limit = max(_ANGLE_TOLERANCE * length, TOLERANCE_VOXELS * min(frames[0].pixel_spacing_mm))
    shift = float(np.linalg.norm(sideways[-1]))
    if shift > limit:
        angle = float(np.degrees(np.arcsin(shift / length)))
        tilted = f"its slices are shifted sideways (gantry tilt of {angle:.1f} degrees)"
        yield Finding(tilted, "Pass --resample to undo that.")
    heights = _heights(frames)
    share = (heights - heights[0]) / (heights[-1] - heights[0])
    from_line = np.linalg.norm(sideways - np.outer(share, sideways[-1]), axis=1)
    if from_line.max() > limit:
        name = frames[int(from_line.argmax())].name
        beside = f"{name} lies {from_line.max():.2f} mm beside the line of the other slices"
        yield Finding(beside, "Remove what does not belong to the series, or pass --resample.")


def _heights(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Places of slices along the normal of the first, in millimetres."""
    return np.stack([frame.position_mm for frame in frames]) @ frames[0].normal


def _functional_group(path: Path, group: Dataset, shared: Dataset, name: str) -> Dataset:
    """An item of an enhanced file: of the frame, or of all frames."""
    holder = group if name in group else shared
    _require(path, holder, name)
    item: Dataset = holder[name].value[0]
    return item


def _frame(
    path: Path, number: int | None, position: Dataset, orientation: Dataset, measures: Dataset, shape: tuple[int, int]
) -> Frame:
    _require(path, position, "ImagePositionPatient")
    _require(path, orientation, "ImageOrientationPatient")
    _require(path, measures, "PixelSpacing")
    try:
        position_mm = np.asarray(position.ImagePositionPatient, dtype=np.float64).reshape(3)
        cosines = np.asarray(orientation.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        rows_mm, columns_mm = (float(value) for value in measures.PixelSpacing)
    except (TypeError, ValueError) as error:
        raise InputError(Problem(str(path), f"has no usable position, orientation or spacing ({error}).")) from error
    if not np.allclose(cosines @ cosines.T, np.eye(2), atol=10 * _ANGLE_TOLERANCE):
        message = (
            "has an ImageOrientationPatient that is not a pair of perpendicular directions: "
            f"{cosines.ravel().tolist()}."
        )
        raise InputError(Problem(str(path), message))
    if not (rows_mm > 0 and columns_mm > 0 and np.isfinite(position_mm).all()):
        raise InputError(
            Problem(str(path), f"has pixels of {rows_mm:g} x {columns_mm:g} mm at {position_mm.tolist()}.")
        )
    thickness = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return Frame(
        path=path,
        number=number,
        position_mm=position_mm,
        cosines=cosines,
        pixel_spacing_mm=(rows_mm, columns_mm),
        shape=shape,
        thickness_mm=None if thickness is None else abs(float(thickness)) or None,
        has_scale=position.get("RescaleSlope") is not None and position.get("RescaleIntercept") is not None,
    )


def _require(path: Path, dataset: Dataset, *names: str) -> None:
    missing = [name for name in names if dataset.get(name) in (None, "")]
    if missing:
        raise InputError(Problem(str(path), f"has no {', '.join(missing)}, so its place in the patient is not known."))
