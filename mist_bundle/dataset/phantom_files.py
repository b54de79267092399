"""The files of a phantom: NIfTI in several orientations and with several kinds of headers, or DICOM series."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.dicom_writing import uid_from, write_dicom_series

STUDIES, LABELS = "studies", "labels"  # folders of a phantom in DICOM
_LARGEST_STORED = 32767  # in 16 bits


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """Images and label of a case on an LPS grid, (X, Y, Z) each, by file name without prefix and suffix."""

    arrays: dict[str, NDArray[Any]]
    affine: NDArray[np.float64]


def save_case(folder: Path, case: PhantomCase, orientation: str, *, prefix: str) -> None:
    """Write the NIfTI files of a case.

    Args:
        folder: to create.
        case: on an LPS grid.
        orientation: in which the arrays are stored, such as "RAS".
        prefix: of the names of the files.
    """
    import nibabel as nib

    folder.mkdir(parents=True)
    for name, volume in _volumes(case, orientation).items():
        nib.save(volume, folder / f"{prefix}{name}.nii.gz")


def _volumes(case: PhantomCase, orientation: str) -> dict[str, Any]:
    """NIfTI images in a storage order, by file name without prefix and suffix."""
    import nibabel as nib
    from nibabel import orientations

    change = orientations.ornt_transform(
        orientations.axcodes2ornt(("L", "P", "S")), orientations.axcodes2ornt(tuple(orientation))
    )
    volumes = {}
    for name, array in case.arrays.items():
        volume = nib.Nifti1Image(array, case.affine)
        volume.header.set_xyzt_units("mm")
        volumes[name] = volume.as_reoriented(change)
    return volumes


def save_series(folder: Path, name: str, case: PhantomCase, orientation: str, origin: str) -> None:
    """Write `studies/<case>/` with a series (in a folder for each channel if there are several) and the label map."""
    import nibabel as nib

    volumes = _volumes(case, orientation)
    (folder / LABELS).mkdir(exist_ok=True)
    nib.save(volumes.pop("mask"), folder / LABELS / f"{name}.nii.gz")
    for channel, volume in volumes.items():
        place = folder / STUDIES / name / (channel if len(volumes) > 1 else "")
        array = np.asarray(volume.dataobj)
        slope = 1.0 if array.dtype.kind == "i" else float(np.abs(array).max()) / _LARGEST_STORED
        write_dicom_series(
            place, array, volume.affine, modality="CT" if channel == "ct" else "MR", slope=slope, patient=name,
            uid=uid_from("phantom", origin, name, channel),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """A way to store the same voxels at the same place."""

    qform_code: int = 1
    sform_code: int = 1
    units: str = "mm"
    slope: float = 1.0
    inter: float = 0.0
    dtype: str | None = None
    fourth_axis: bool = False


HEADERS = (
    Header(),
    Header(sform_code=0),
    Header(qform_code=0, sform_code=2),
    Header(slope=0.5, inter=-100.0),
    Header(units="micron"),
    Header(dtype="float32", qform_code=0, sform_code=1),
    Header(units="unknown", fourth_axis=True),
)


def rewrite_headers(folder: Path, header: Header) -> None:
    """Write the files of a case again with another header."""
    import nibabel as nib

    for path in sorted(folder.iterdir()):
        source: Any = nib.load(path)
        dtype = np.dtype(header.dtype) if header.dtype else source.get_data_dtype()
        slope, inter = (header.slope, header.inter) if dtype.kind == "i" else (1.0, 0.0)
        values = ((np.array(source.dataobj) - inter) / slope).astype(dtype)
        if header.fourth_axis:
            values = values[..., None]
        per_mm = 1000.0 if header.units == "micron" else 1.0
        affine = np.diag([per_mm, per_mm, per_mm, 1.0]) @ source.affine
        image = nib.Nifti1Image(values, affine)
        image.header.set_xyzt_units(header.units)
        image.set_qform(affine, header.qform_code)
        image.set_sform(affine, header.sform_code)
        image.header.set_data_dtype(dtype)
        image.header.set_slope_inter(slope, inter)
        nib.save(image, path)
