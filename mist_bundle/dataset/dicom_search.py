"""Finding the image series in folders of DICOM files: by their SeriesInstanceUID, skipping files that are not slices.

Nothing that may be a slice is left out unsaid: files that cannot be read are problems of the series beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mist_bundle.dataset.dicom import Series, quiet_reading, read_dataset, require_pydicom
from mist_bundle.dataset.dicom_frames import frames_of
from mist_bundle.errors import InputError, Problem

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE = 128
# what a file without a preamble begins with: the length of the first group, character set, kind of image, SOP class
_FIRST_TAGS = tuple(bytes.fromhex(tag) for tag in ("08000000", "08000500", "08000800", "08001600"))
# objects with rows and columns that are not images of a patient's slices
_NO_IMAGES = ("SEG", "RTDOSE", "RTSTRUCT", "RTPLAN", "RTIMAGE", "SR", "PR", "KO", "REG", "RWV", "DOC", "M3D", "US")
# without a position, an image of another modality is a picture and no slice
_TOMOGRAPHIC = ("CT", "MR", "PT")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_IMAGE = "Image Storage"  # in the names of the SOP classes that have pixels
_SUFFIXES = (".dcm", ".dicom", ".ima")
_LOCALIZER = "LOCALIZER"  # of the attribute ImageType


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, or as those of old archives, which have no preamble.

    DICOMDIR, which only lists others, does not count.
    """
    if path.name == "DICOMDIR" or not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(_PREAMBLE + 4)
    return start[_PREAMBLE:] == b"DICM" or start[:4] in _FIRST_TAGS


@quiet_reading()
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
    """Refuse a file that is not DICOM although its name says so: it may have been a slice."""
    if path.suffix.lower() in _SUFFIXES and path.is_file():
        size = path.stat().st_size
        raise InputError(
            Problem(str(path), f"is not a DICOM file ({size} bytes). Remove it if it is not a slice, or get it again.")
        )


def _refuse_unfinished(path: Path, dataset: Dataset) -> None:
    """Refuse a file that ends before it says how many pixels it has, which the reader takes for an object without."""
    kind = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    if "Rows" not in dataset and "ImagePositionPatient" not in dataset and (not kind or _IMAGE in kind.name):
        raise InputError(Problem(str(path), "ends before its image begins. Get it again from its source."))


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
        message = "has no SeriesInstanceUID, so it may be a slice of any series here. Remove it, or get it again."
        raise InputError(Problem(str(path), message))
    if uid not in series:
        description = str(dataset.get("SeriesDescription", ""))
        series[uid] = Series(uid, path.parent, str(dataset.get("Modality", "")), description)
    try:
        series[uid].frames.extend(frames_of(path, dataset))
    except InputError as error:
        series[uid].problems.extend(error.problems)
