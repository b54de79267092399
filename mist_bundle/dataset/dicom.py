"""DICOM series as volumes: sorted by position, in Hounsfield units where the file says so, and refused where they lie.

A series is taken by its SeriesInstanceUID, never by file names. Slices are sorted along the normal of their plane
(DICOM PS3.3 C.7.6.2). Missing, doubled or unevenly spaced slices, a tilted gantry and slices of different size or
orientation are refused: a network would see a body that does not exist. pydicom reads the files (`pip install
"mist-bundle[dicom]"`), with whatever decoders for compressed pixels it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.errors import InputError, Problem

if TYPE_CHECKING:
    from pydicom import Dataset

# Distances of neighbouring slices may differ by this share of their median: scanners write rounded positions.
SPACING_TOLERANCE = 0.01
_ANGLE_TOLERANCE = 1e-3  # of direction cosines
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_PREAMBLE = 128


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
    """

    path: Path
    number: int | None
    position_mm: NDArray[np.float64]
    cosines: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    shape: tuple[int, int]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slice."""
        return np.cross(self.cosines[0], self.cosines[1])


@dataclass(frozen=True, slots=True)
class Series:
    """The slices of a SeriesInstanceUID in a folder.

    Attributes:
        uid: SeriesInstanceUID.
        folder: of its first file.
        modality: CT, MR, PT …
        description: SeriesDescription, or "".
        frames: in the order in which they were found.
    """

    uid: str
    folder: Path
    modality: str
    description: str
    frames: list[Frame] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Its files, each once."""
        return list(dict.fromkeys(frame.path for frame in self.frames))


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do; DICOMDIR, which only lists others, does not count."""
    if path.name == "DICOMDIR" or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"


def find_series(folder: Path) -> list[Series]:
    """List the image series in a folder and the folders in it, sorted by UID.

    Raises:
        InputError: pydicom is not installed, or there is no image series.
    """
    series: dict[str, Series] = {}
    for path in sorted(folder.rglob("*")):
        if not is_dicom(path):
            continue
        dataset = read_dataset(path, pixels=False)
        if "Rows" not in dataset or ("ImagePositionPatient" not in dataset and "NumberOfFrames" not in dataset):
            continue  # reports, plans, localizers without a position
        uid = str(dataset.SeriesInstanceUID)
        if uid not in series:
            description = str(dataset.get("SeriesDescription", ""))
            series[uid] = Series(uid, path.parent, str(dataset.get("Modality", "")), description)
        series[uid].frames.extend(_frames(path, dataset))
    if not series:
        raise InputError(Problem(str(folder), "holds no DICOM image series."))
    return [series[uid] for uid in sorted(series)]


def series_volume(series: Series) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a series.

    Returns:
        (X, Y, Z) float32 with X along rows, Y along columns and Z across slices, rescaled by RescaleSlope and
        RescaleIntercept; and the affine, voxel index -> RAS+ millimetres.

    Raises:
        InputError: the slices make no regular volume, or pixels cannot be decoded; all problems at once.
    """
    frames = regular_frames(series)
    rows, columns = frames[0].shape
    array = np.empty((columns, rows, len(frames)), dtype=np.float32)
    decoded: dict[Path, NDArray[np.float32]] = {}
    for index, frame in enumerate(frames):
        if frame.path not in decoded:
            decoded.clear()  # a file of one slice is needed once
            decoded[frame.path] = _pixels(frame.path)
        pixels = decoded[frame.path]
        array[..., index] = (pixels if frame.number is None else pixels[frame.number]).T
    return array, affine_of(frames)


def regular_frames(series: Series) -> list[Frame]:
    """The slices of a series in the order of their positions.

    Raises:
        InputError: they make no regular volume; all problems at once.
    """
    frames, problems = _sorted_frames(series)
    if problems:
        raise InputError(problems)
    return frames


def affine_of(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Affine of regular slices: index of column, row and slice -> RAS+ millimetres."""
    first, last = frames[0], frames[-1]
    affine = np.eye(4)
    affine[:3, 0] = first.cosines[0] * first.pixel_spacing_mm[1]  # along a row the column index grows
    affine[:3, 1] = first.cosines[1] * first.pixel_spacing_mm[0]
    affine[:3, 2] = first.normal
    if len(frames) > 1:
        affine[:3, 2] = (last.position_mm - first.position_mm) / (len(frames) - 1)
    affine[:3, 3] = first.position_mm
    return _LPS_TO_RAS @ affine


def _sorted_frames(series: Series) -> tuple[list[Frame], list[Problem]]:
    """The slices in the order of their positions, and why they make no volume."""
    where = f"{series.folder} (series {series.uid})"
    problems = [Problem(where, finding) for finding in _different_planes(series.frames)]
    normal = series.frames[0].normal
    frames = sorted(series.frames, key=lambda frame: float(frame.position_mm @ normal))
    if problems or len(frames) == 1:
        return frames, problems
    problems += [Problem(where, finding) for finding in _irregular_positions(frames, normal)]
    return frames, problems


def _different_planes(frames: Sequence[Frame]) -> Iterator[str]:
    first = frames[0]
    for frame in frames[1:]:
        if frame.shape != first.shape:
            yield (
                f"{frame.path.name} has {frame.shape[0]} x {frame.shape[1]} pixels, {first.path.name} "
                f"{first.shape[0]} x {first.shape[1]}. Remove what does not belong to the series."
            )
        elif not np.allclose(frame.cosines, first.cosines, atol=_ANGLE_TOLERANCE):
            yield f"{frame.path.name} lies in another plane than {first.path.name}. Give a series of parallel slices."
        elif not np.allclose(frame.pixel_spacing_mm, first.pixel_spacing_mm, rtol=SPACING_TOLERANCE):
            yield f"{frame.path.name} has another pixel spacing than {first.path.name}."


def _irregular_positions(frames: Sequence[Frame], normal: NDArray[np.float64]) -> Iterator[str]:
    positions = np.stack([frame.position_mm for frame in frames])
    gaps = np.diff(positions @ normal)
    typical = float(np.median(gaps))
    limit = SPACING_TOLERANCE * typical
    for index in np.flatnonzero(gaps <= limit).tolist():
        names = f"{frames[index].path.name} and {frames[index + 1].path.name}"
        yield f"{names} lie at the same place ({positions[index] @ normal:.2f} mm). Remove the doubled slice."
    for index in np.flatnonzero(gaps > limit).tolist():
        if abs(gaps[index] - typical) > limit:
            names = f"{frames[index].path.name} and {frames[index + 1].path.name}"
            missing = round(float(gaps[index]) / typical) - 1
            reason = f"{missing} missing" if missing > 0 else "unevenly spaced"
            yield (
                f"{names} are {gaps[index]:.3f} mm apart, the others {typical:.3f} mm: {reason}. "
                "Complete the series, or resample it to even slices first."
            )
    shift = positions[-1] - positions[0]
    sideways = shift - (shift @ normal) * normal
    if np.linalg.norm(sideways) > max(_ANGLE_TOLERANCE * float(np.linalg.norm(shift)), limit):
        angle = float(np.degrees(np.arcsin(np.linalg.norm(sideways) / np.linalg.norm(shift))))
        yield f"its slices are shifted sideways (gantry tilt of {angle:.1f} degrees). Resample it without tilt first."


def _frames(path: Path, dataset: Dataset) -> list[Frame]:
    shape = (int(dataset.Rows), int(dataset.Columns))
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        _require(path, dataset, "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        return [_frame(path, None, dataset, dataset, dataset, shape)]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    frames = []
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        position = _functional_group(path, group, shared, "PlanePositionSequence")
        orientation = _functional_group(path, group, shared, "PlaneOrientationSequence")
        measures = _functional_group(path, group, shared, "PixelMeasuresSequence")
        frames.append(_frame(path, number, position, orientation, measures, shape))
    return frames


def _functional_group(path: Path, group: Dataset, shared: Dataset, name: str) -> Dataset:
    """An item of an enhanced file: of the frame, or of all frames."""
    holder = group if name in group else shared
    _require(path, holder, name)
    item: Dataset = holder[name].value[0]
    return item


def _frame(
    path: Path, number: int | None, position: Dataset, orientation: Dataset, measures: Dataset, shape: tuple[int, int]
) -> Frame:
    rows_mm, columns_mm = (float(value) for value in measures.PixelSpacing)
    return Frame(
        path=path,
        number=number,
        position_mm=np.asarray(position.ImagePositionPatient, dtype=np.float64),
        cosines=np.asarray(orientation.ImageOrientationPatient, dtype=np.float64).reshape(2, 3),
        pixel_spacing_mm=(rows_mm, columns_mm),
        shape=shape,
    )


def _require(path: Path, dataset: Dataset, *names: str) -> None:
    missing = [name for name in names if name not in dataset]
    if missing:
        raise InputError(Problem(str(path), f"has no {', '.join(missing)}, so its place in the patient is not known."))


def _pixels(path: Path) -> NDArray[np.float32]:
    """Stored values (rows, columns) or (frames, rows, columns), rescaled."""
    dataset = read_dataset(path, pixels=True)
    try:
        stored = np.asarray(dataset.pixel_array)
    except Exception as error:  # pydicom's decoders raise errors of many kinds
        message = (
            f"its pixels cannot be decoded ({error}). For compressed images: pip install pylibjpeg[all] python-gdcm."
        )
        raise InputError(Problem(str(path), message)) from error
    slope, intercept = _rescale(dataset)
    return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _rescale(dataset: Dataset) -> tuple[float, float]:
    holder: Any = dataset
    if "SharedFunctionalGroupsSequence" in dataset:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        if "PixelValueTransformationSequence" in shared:
            holder = shared.PixelValueTransformationSequence[0]
    return float(holder.get("RescaleSlope", 1)), float(holder.get("RescaleIntercept", 0))


def require_pydicom(what: str) -> None:
    """Check that the package is there.

    Raises:
        InputError: it is not; says that `what` needs it, and how to install it.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        message = 'DICOM needs packages that are not here. Run: pip install "mist-bundle[dicom]"'
        raise InputError(Problem(what, message)) from error


def read_dataset(path: Path, *, pixels: bool) -> Dataset:
    """Read a DICOM file.

    Raises:
        InputError: pydicom is not installed, or the file is damaged.
    """
    require_pydicom(str(path))
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except Exception as error:  # damaged files raise errors of many kinds
        raise InputError(Problem(str(path), f"cannot be read as DICOM ({error}).")) from error
