"""Writing image series: a slice a file, for phantoms, tests and checks of other programs."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pydicom import Dataset

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
# SOP classes of single slices by the modality
_STORAGE = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
# names this program's objects, whose UIDs follow from what they are made of
_NAMESPACE = uuid.UUID("c2fb3a0e-54b6-5d0f-8d6c-6f0f3e5f5d9a")


def uid_from(*words: str) -> str:
    """A UID that follows from words (PS3.5 B.2: 2.25 and a UUID as a decimal number)."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(words)).int}"


def write_dicom_series(
    folder: Path,
    array: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    modality: str = "CT",
    slope: float = 1.0,
    intercept: float = 0.0,
    patient: str = "phantom",
    uid: str | None = None,
) -> str:
    """Write a volume as slices of 16 bits, under names that do not tell their order.

    Args:
        folder: to create.
        array: (X, Y, Z); X becomes the columns and Y the rows of a slice.
        affine: voxel index -> RAS+ millimetres.
        modality: CT or MR.
        slope: value of a step of the stored numbers.
        intercept: value of a stored 0.
        patient: PatientID, and family name.
        uid: SeriesInstanceUID; by default it follows from folder and patient.

    Returns:
        The SeriesInstanceUID.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID

    folder.mkdir(parents=True, exist_ok=True)
    series = uid or uid_from("series", patient, str(folder))
    for name, index in enumerate(np.random.default_rng(0).permutation(array.shape[2]).tolist()):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = UID(_STORAGE[modality])
        meta.MediaStorageSOPInstanceUID = UID(uid_from("instance", series, str(index)))
        meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE_ENDIAN)
        dataset = FileDataset(str(folder), {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        _describe(dataset, patient, series, modality, index)
        _place(dataset, array.shape, affine, index)
        stored = np.round((array[..., index].T.astype(np.float64) - intercept) / slope)
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.PixelData = stored.astype(np.int16).tobytes()
        dataset.save_as(folder / f"{name:03d}.dcm", enforce_file_format=True)
    return series


def _describe(dataset: Dataset, patient: str, series: str, modality: str, index: int) -> None:
    """Patient, study and series."""
    dataset.PatientID, dataset.PatientName = patient, f"{patient}^"  # a family name without a given name
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyInstanceUID = uid_from("study", series)
    dataset.StudyDate = dataset.StudyTime = dataset.StudyID = ""
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.SeriesInstanceUID, dataset.SeriesNumber = series, 1
    dataset.Modality, dataset.SeriesDescription = modality, "synthetic"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL" if modality == "CT" else "OTHER"]
    dataset.Manufacturer = "mist-bundle"
    dataset.FrameOfReferenceUID = uid_from("frame of reference", series)
    dataset.PositionReferenceIndicator = ""
    dataset.InstanceNumber = index + 1


def _place(dataset: Dataset, shape: tuple[int, ...], affine: NDArray[np.float64], index: int) -> None:
    """Size, place and kind of the pixels of a slice."""
    lps = _RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :3] / spacing
    dataset.Rows, dataset.Columns = shape[1], shape[0]
    dataset.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]
    dataset.SliceThickness = _decimal(spacing[2])
    dataset.ImageOrientationPatient = [*map(_decimal, cosines[:, 0]), *map(_decimal, cosines[:, 1])]
    dataset.ImagePositionPatient = list(map(_decimal, (lps @ [0, 0, index, 1])[:3]))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1


def _decimal(value: float) -> str:
    """A decimal string, which has at most 16 characters."""
    return f"{value + 0.0:.10g}"
