"""DICOM series as volumes: sorted by position, in Hounsfield units where the file says so, and refused where they lie.

A series is taken by its SeriesInstanceUID. Missing, doubled or unevenly spaced slices, a tilted gantry and slices of
different size or orientation are refused: a network would see a body that does not exist. pydicom reads the files (`pip
install "mist-bundle[dicom]"`), with whatever decoders for compressed pixels it finds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.dicom_frames import Frame, affine_of, findings_about, sorted_frames
from mist_bundle.dataset.dicom_resampling import even_slices
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.wording import MOST_NAMES

if TYPE_CHECKING:
    from pydicom import Dataset

# packages with decoders, by the transfer syntaxes that they decode
_DECODERS = (
    ("JPEG-LS", "pyjpegls"),
    ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
    ("High-Throughput", "pylibjpeg pylibjpeg-openjpeg"),
    ("JPEG", "pylibjpeg pylibjpeg-libjpeg"),
)


@dataclass(frozen=True, slots=True)
class Series:
    """The slices of a SeriesInstanceUID in a folder.

    Attributes:
        uid: SeriesInstanceUID.
        folder: of its first file.
        modality: CT, MR, PT …
        description: SeriesDescription, or "".
        frames: in the order of their files.
        problems: files that belong to it, or may do so, and cannot be read.
    """

    uid: str
    folder: Path
    modality: str
    description: str
    frames: list[Frame] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Its files, each once."""
        return list(dict.fromkeys(frame.path for frame in self.frames))

    def lies_in(self, place: Path) -> bool:
        """Whether a folder holds a file of it."""
        return place == self.folder or any(path.parent == place for path in self.files)


@contextmanager
def quiet_reading() -> Iterator[None]:
    """Keep pydicom's remarks about odd elements to itself: they name no file, and what matters is checked here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield


@quiet_reading()
def series_volume(series: Series, *, resample: bool = False) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a series.

    Args:
        series: its slices.
        resample: make slices even where they are uneven, missing, or shifted sideways.

    Returns:
        (X, Y, Z) float32 with X along rows, Y along columns and Z across slices, rescaled by RescaleSlope and
        RescaleIntercept; and the affine, voxel index -> RAS+ millimetres.

    Raises:
        InputError: the slices make no regular volume, or pixels cannot be decoded; all problems at once.
    """
    frames = usable_frames(series, resample=resample)
    if findings_about(frames):
        lowest = min(float(pixels.min()) for pixels in _slices(frames))
        grid = even_slices(frames)
        return grid.resample(_slices(frames), lowest), grid.affine
    rows, columns = frames[0].shape
    array = np.empty((columns, rows, len(frames)), dtype=np.float32)
    for index, pixels in enumerate(_slices(frames)):
        array[..., index] = pixels
    return array, affine_of(frames)


def _slices(frames: Sequence[Frame]) -> Iterator[NDArray[np.float32]]:
    """The values of each slice, (columns, rows)."""
    decoded: dict[Path, NDArray[np.float32]] = {}
    for frame in frames:
        if frame.path not in decoded:
            decoded.clear()  # a file of a single slice is needed once
            decoded[frame.path] = _pixels(frame)
        pixels = decoded[frame.path]
        yield (pixels if frame.number is None else pixels[frame.number]).T


def usable_frames(series: Series, *, resample: bool = False) -> list[Frame]:
    """The slices of a series in the order of their positions.

    Args:
        series: its slices.
        resample: take slices that can be resampled to even slices, too.

    Raises:
        InputError: they make no volume; all problems at once.
    """
    problems = problems_of(series, resample=resample)
    if problems:
        raise InputError(problems)
    return sorted_frames(series.frames)


def problems_of(series: Series, *, resample: bool = False) -> list[Problem]:
    """Why the slices of a series make no volume, as far as their headers tell; see `usable_frames`."""
    problems = series.problems[:MOST_NAMES]
    if len(series.problems) > MOST_NAMES:
        more = f"{len(series.problems) - MOST_NAMES} more files of {series.folder} have problems."
        problems = [*problems, Problem(f"series {series.uid}", more)]
    if series.frames:
        where = f"{series.folder} (series {series.uid})"
        problems += [Problem(where, str(finding)) for finding in findings_about(series.frames, resample=resample)]
    return problems


def remarks_about(series: Series) -> list[str]:
    """What is odd about a usable series: what resampling to even slices mended, and a volume of a single slice."""
    remarks = [f"was resampled to even slices: {finding.what}." for finding in findings_about(series.frames)]
    if len(series.frames) == 1:
        remarks.append("is a single slice; check that no slices of the series are missing.")
    return remarks


def _pixels(frame: Frame) -> NDArray[np.float32]:
    """Values of the file of a slice, (rows, columns) or (frames, rows, columns), rescaled."""
    path = frame.path
    dataset = read_dataset(path, pixels=True)
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise InputError(Problem(str(path), "is a colour image. Remove what does not belong to the series."))
    try:
        stored = np.asarray(dataset.pixel_array)
    except Exception as error:  # pydicom's decoders raise errors of many kinds
        raise InputError(Problem(str(path), _why_not_decoded(dataset, error))) from error
    if stored.shape[-2:] != frame.shape or stored.ndim != (2 if frame.number is None else 3):
        message = f"says that it has {frame.shape[0]} x {frame.shape[1]} pixels, and holds {stored.shape}."
        raise InputError(Problem(str(path), f"{message} It is damaged: get it again from its source."))
    if "ModalityLUTSequence" in dataset:
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, dataset), dtype=np.float32)
    slopes, intercepts = _rescale(dataset)
    if not slopes.all() or not (np.isfinite(slopes).all() and np.isfinite(intercepts).all()):
        raise InputError(
            Problem(str(path), f"has a RescaleSlope of {slopes.min():g}, which makes its values the same.")
        )
    # a file of a slice has no axis of frames
    place = (slice(None), None, None) if stored.ndim > 2 else 0
    return stored.astype(np.float32) * slopes[place] + intercepts[place]


def _why_not_decoded(dataset: Dataset, error: Exception) -> str:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    name = getattr(syntax, "name", "an unknown encoding")
    if syntax is not None and syntax.is_private:
        return f"its pixels are stored as {syntax}, which only its maker can read. Export the series again."
    if syntax is None or not syntax.is_transfer_syntax or not syntax.is_compressed:
        return f"its pixels cannot be read ({error}). It is damaged or incomplete: get it again from its source."
    from pydicom.pixels.decoders.base import get_decoder

    try:
        is_decodable = get_decoder(syntax).is_available
    except NotImplementedError:
        return f"its pixels are compressed as {name}, which pydicom does not decode. Store the series uncompressed."
    if is_decodable:
        return f"its pixels ({name}) cannot be decoded ({error}). It is damaged: get it again from its source."
    for words, packages in _DECODERS:
        if words in name:
            return (
                f"its pixels are compressed as {name}, for which there is no decoder here. Run: pip install {packages}"
            )
    return f"its pixels are compressed as {name}, for which there is no decoder here. Store the series uncompressed."


def _rescale(dataset: Dataset) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and intercept of each frame; enhanced files have them for each frame, or for all."""
    holders: list[Any] = [dataset]
    if "PerFrameFunctionalGroupsSequence" in dataset:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        holders = []
        for group in dataset.PerFrameFunctionalGroupsSequence:
            sequence = group.get("PixelValueTransformationSequence") or shared.get("PixelValueTransformationSequence")
            holders.append(sequence[0] if sequence else dataset)
    slopes, intercepts = [], []
    for holder in holders:
        slope, intercept = holder.get("RescaleSlope"), holder.get("RescaleIntercept")
        slopes.append(1.0 if slope is None else float(slope))
        intercepts.append(0.0 if intercept is None else float(intercept))
    return np.asarray(slopes, dtype=np.float32), np.asarray(intercepts, dtype=np.float32)


def require_pydicom(what: str) -> None:
    """Check that the package is there.

    Raises:
        InputError: it is not; says that `what` needs it, and how to install it.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        message = 'DICOM needs packages that are not installed. Run: pip install "mist-bundle[dicom]"'
        raise InputError(Problem(what, message)) from error


def read_dataset(path: Path, *, pixels: bool) -> Dataset:
    """Read a DICOM file.

    Raises:
        InputError: pydicom is not installed, or the file is damaged.
    """
    require_pydicom(str(path))
    import pydicom

    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
        if not dataset.preamble and "TransferSyntaxUID" not in dataset.file_meta:
            is_implicit = dataset.original_encoding[0]
            syntaxes = pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = syntaxes[0] if is_implicit else syntaxes[1]
        return dataset
    except Exception as error:  # damaged files raise errors of many kinds
        raise InputError(Problem(str(path), f"cannot be read as DICOM ({error}).")) from error
