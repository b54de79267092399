"""Writes DICOM series from volumes, for tests: plain CT slices, shuffled names, any orientation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid


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
    folder.mkdir(parents=True, exist_ok=True)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :3] / spacing
    series = uid or generate_uid()
    study, frame_of_reference = generate_uid(), generate_uid()
    order = np.random.default_rng(0).permutation(array.shape[2])
    for name, index in enumerate(order):
        instance = generate_uid()
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = instance
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset: Dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, instance
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.FrameOfReferenceUID = frame_of_reference
        dataset.Modality, dataset.SeriesDescription = "CT", "made for a test"
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "A^B", "7", "", ""
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "", "", "", ""
        dataset.ReferringPhysicianName, dataset.Manufacturer = "", "nobody"
        dataset.SeriesNumber, dataset.InstanceNumber = 1, int(index) + 1
        dataset.Rows, dataset.Columns = array.shape[1], array.shape[0]
        dataset.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        dataset.SliceThickness = float(spacing[2])
        dataset.ImageOrientationPatient = [*map(float, cosines[:, 0]), *map(float, cosines[:, 1])]
        dataset.ImagePositionPatient = [float(value) for value in (lps @ [0, 0, index, 1])[:3]]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        stored = np.round((array[..., index].T.astype(np.float64) - intercept) / slope).astype(np.int16)
        dataset.PixelData = stored.tobytes()
        dataset.save_as(folder / f"{name:03d}.dcm", enforce_file_format=True)
    return series


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
