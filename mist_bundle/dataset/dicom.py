"""DICOM series as volumes: sorted by position, in Hounsfield units where the file says so, and refused where they lie.

A series is taken by its SeriesInstanceUID. Missing, doubled or unevenly spaced slices, a tilted gantry and slices of
different size or orientation are refused: a network would see a body that does not exist. pydicom reads the files (`pip
install "mist-bundle[dicom]"`), with whatever decoders for compressed pixels it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.dicom_frames import Frame, affine_of, findings_about, frames_of, sorted_frames
from mist_bundle.dataset.dicom_resampling import even_slices
from mist_bundle.errors import MOST_NAMES, InputError, Problem

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE = 128
# what a file without a preamble begins with: the length of the first group, character set, kind of image, SOP class
_FIRST_TAGS = tuple(bytes.fromhex(tag) for tag in ("08000000", "08000500", "08000800", "08001600"))
# objects with rows and columns that are no images of a patient's slices
_NO_IMAGES = (
    "SEG",
    "RTDOSE",
    "RTSTRUCT",
    "RTPLAN",
    "RTIMAGE",
    "SR",
    "PR",
    "KO",
    "REG",
    "RWV",
    "DOC",
    "M3D",
    "SC",
    "US",
)
# without a position, an image of another modality is a picture and no slice
_TOMOGRAPHIC = ("CT", "MR", "PT")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_IMAGE = "Image Storage"  # in the names of the SOP classes that have pixels
_SUFFIXES = (".dcm", ".dicom", ".ima")
_LOCALIZER = "LOCALIZER"  # of the attribute ImageType
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


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, or as those of old archives, which have no preamble.

    DICOMDIR, which only lists others, does not count.
    """
    if path.name == "DICOMDIR" or not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(_PREAMBLE + 4)
    return start[_PREAMBLE:] == b"DICM" or start[:4] in _FIRST_TAGS


def find_series(folder: Path) -> list[Series]:
    """List the image series in a folder and the folders in it, sorted by UID.

    Segmentations, structure sets, reports, localizers and other objects without slices are passed over. A file that
    cannot be read is a problem of every series in its folder, since it may be a slice of any.

    Raises:
        InputError: pydicom is not installed, or there is no image series that can be read.
    """
    require_pydicom(str(folder))
    series: dict[str, Series] = {}
    damaged: dict[Path, list[Problem]] = {}
    for path in sorted(folder.rglob("*")):
        try:
            if not is_dicom(path):
                _refuse_by_name(path)
                continue
            dataset = read_dataset(path, pixels=False)
            _refuse_unfinished(path, dataset)
            if _is_image(dataset):
                _add(series, path, dataset)
        except InputError as error:
            damaged.setdefault(path.parent, []).extend(error.problems)
    for uid, candidate in list(series.items()):
        if not candidate.frames and candidate.modality not in _TOMOGRAPHIC:
            del series[uid]  # radiographs, films: nothing of them lies in space
    _share_out(damaged, series)
    if not any(candidate.frames for candidate in series.values()):
        problems = [problem for candidate in series.values() for problem in candidate.problems]
        raise InputError(problems or [Problem(str(folder), "holds no DICOM image series.")])
    return [series[uid] for uid in sorted(series)]


def _share_out(damaged: Mapping[Path, Sequence[Problem]], series: dict[str, Series]) -> None:
    """Give the problems of files that cannot be read to the series of their folders; a folder may have none."""
    for place, problems in damaged.items():
        concerned = [candidate for candidate in series.values() if candidate.lies_in(place)]
        if not concerned:
            concerned = [series.setdefault(f"unreadable {place}", Series("unknown", place, "", "unreadable"))]
        for candidate in concerned:
            candidate.problems.extend(problems)


def _refuse_by_name(path: Path) -> None:
    """Refuse a file that is no DICOM although its name says so: it may have been a slice."""
    if path.suffix.lower() in _SUFFIXES and path.is_file():
        size = path.stat().st_size
        raise InputError(Problem(str(path), f"is no DICOM file ({size} bytes). Get it anew from where it came."))


def _refuse_unfinished(path: Path, dataset: Dataset) -> None:
    """Refuse a file that ends before it says how many pixels it has, which the reader takes for an object without."""
    kind = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    if "Rows" not in dataset and "ImagePositionPatient" not in dataset and (not kind or _IMAGE in kind.name):
        raise InputError(Problem(str(path), "ends before its image begins. Get it anew from where it came."))


def _is_image(dataset: Dataset) -> bool:
    has_pixels = "Rows" in dataset or "ImagePositionPatient" in dataset
    if not has_pixels or dataset.get("Modality", "") in _NO_IMAGES:
        return False
    is_screenshot = dataset.get("SOPClassUID") == _SECONDARY_CAPTURE and "ImagePositionPatient" not in dataset
    return not is_screenshot and _LOCALIZER not in (dataset.get("ImageType") or ())


def _add(series: dict[str, Series], path: Path, dataset: Dataset) -> None:
    """Put the slices of a file into their series, or say there why it has none.

    Raises:
        InputError: it belongs to no series.
    """
    uid = str(dataset.get("SeriesInstanceUID") or "")
    if not uid:
        message = "has no SeriesInstanceUID, so it may be a slice of any series here. Remove it, or get it anew."
        raise InputError(Problem(str(path), message))
    if uid not in series:
        description = str(dataset.get("SeriesDescription", ""))
        series[uid] = Series(uid, path.parent, str(dataset.get("Modality", "")), description)
    try:
        series[uid].frames.extend(frames_of(path, dataset))
    except InputError as error:
        series[uid].problems.extend(error.problems)


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
    problems = series.problems[:MOST_NAMES]
    if len(series.problems) > MOST_NAMES:
        more = f"{len(series.problems) - MOST_NAMES} more files of {series.folder} have problems."
        problems = [*problems, Problem(f"series {series.uid}", more)]
    if series.frames:
        where = f"{series.folder} (series {series.uid})"
        problems += [Problem(where, str(finding)) for finding in findings_about(series.frames, resample=resample)]
    if problems:
        raise InputError(problems)
    return sorted_frames(series.frames)


def resampling_remarks(series: Series) -> list[str]:
    """What resampling to even slices mended; empty where the slices were a volume as they were."""
    return [f"was resampled to even slices: {finding.what}." for finding in findings_about(series.frames)]


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
        raise InputError(Problem(str(path), f"{message} It is damaged: get it anew from where it came."))
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
    if syntax is None or not syntax.is_compressed:
        return f"its pixels cannot be read ({error}). It is damaged or incomplete: get it anew from where it came."
    from pydicom.pixels.decoders.base import get_decoder

    try:
        is_decodable = get_decoder(syntax).is_available
    except NotImplementedError:
        return f"its pixels are compressed as {name}, which pydicom does not decode. Store the series uncompressed."
    if is_decodable:
        return f"its pixels ({name}) cannot be decoded ({error}). It is damaged: get it anew from where it came."
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
        dataset = pydicom.dcmread(path, stop_before_pixels=not pixels, force=True)
        if not dataset.preamble and "TransferSyntaxUID" not in dataset.file_meta:
            is_implicit = dataset.original_encoding[0]
            syntaxes = pydicom.uid.ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian
            dataset.file_meta.TransferSyntaxUID = syntaxes[0] if is_implicit else syntaxes[1]
        return dataset
    except Exception as error:  # damaged files raise errors of many kinds
        raise InputError(Problem(str(path), f"cannot be read as DICOM ({error}).")) from error
