"""Writes series as hospitals have them: of any orientation, in files of a slice or of many."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage

from mist_bundle.dataset.dicom_writing import write_dicom_series


def write_series(
    folder: Path,
    array: NDArray[np.int16],
    affine: NDArray[np.float64],
    *,
    slope: float = 1.0,
    intercept: float = -1024.0,
    uid: str | None = None,
) -> str:
    """Write (X, Y, Z) Hounsfield units with a RAS+ affine as a slice a file; returns the SeriesInstanceUID."""
    return write_dicom_series(folder, array, affine, slope=slope, intercept=intercept, uid=uid)


def write_enhanced(
    folder: Path, array: NDArray[np.int16], affine: NDArray[np.float64], *, intercept: float = -1024.0
) -> str:
    """Write the same as an enhanced CT: a file of many frames, in the shuffled order of the plain files."""
    uid = write_series(folder / "plain", array, affine, intercept=intercept)
    files = sorted((folder / "plain").iterdir())
    datasets = [pydicom.dcmread(path) for path in files]
    enhanced = datasets[0].copy()
    enhanced.SOPClassUID = enhanced.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    enhanced.NumberOfFrames = len(datasets)
    enhanced.PixelData = b"".join(dataset.PixelData for dataset in datasets)
    shared, per_frame = Dataset(), []
    measures, orientation, rescale = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = enhanced.PixelSpacing, enhanced.SliceThickness
    orientation.ImageOrientationPatient = enhanced.ImageOrientationPatient
    rescale.RescaleSlope, rescale.RescaleIntercept = enhanced.RescaleSlope, enhanced.RescaleIntercept
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [rescale]
    for dataset in datasets:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = dataset.ImagePositionPatient
        group.PlanePositionSequence = [position]
        per_frame.append(group)
    enhanced.SharedFunctionalGroupsSequence = [shared]
    enhanced.PerFrameFunctionalGroupsSequence = per_frame
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(enhanced, name)
    enhanced.save_as(folder / "all.dcm", enforce_file_format=True)
    shutil.rmtree(folder / "plain")
    return uid


def slices_of(folder: Path) -> list[Path]:
    """Files in the order of their slices."""
    return sorted(folder.glob("*.dcm"), key=lambda path: int(pydicom.dcmread(path).InstanceNumber))
