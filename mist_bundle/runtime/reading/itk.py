"""NRRD, MetaImage and Analyze files, read by SimpleITK and checked as strictly as NIfTI files are.

ITK's physical points are LPS millimetres; affines here are RAS+ millimetres, as everywhere in this package.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import check_memory, require_file
from .volume import Grid, UnreadableFileError, Volume

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ANALYZE_WARNING = "is an Analyze file, which has no orientation; left and right are a guess. Check them in a viewer."


def read_nrrd(path: Path, *, channels: bool = False) -> Volume:
    """Read a .nrrd or .nhdr file (see `read_itk`)."""
    return read_itk(path, "NrrdImageIO", channels=channels)


def read_nrrd_grid(path: Path) -> Grid:
    """Shape and affine of a .nrrd or .nhdr file from its header."""
    return read_itk_grid(path, "NrrdImageIO")


def read_meta_image(path: Path, *, channels: bool = False) -> Volume:
    """Read a .mha or .mhd file (see `read_itk`)."""
    return read_itk(path, "MetaImageIO", channels=channels)


def read_meta_image_grid(path: Path) -> Grid:
    """Shape and affine of a .mha or .mhd file from its header."""
    return read_itk_grid(path, "MetaImageIO")


def read_analyze(path: Path, *, channels: bool = False) -> Volume:
    """Read the .hdr of an Analyze or NIfTI pair (see `read_itk`)."""
    return read_itk(path, "NiftiImageIO", channels=channels)


def read_analyze_grid(path: Path) -> Grid:
    """Shape and affine of an Analyze or NIfTI pair from its header."""
    return read_itk_grid(path, "NiftiImageIO")


def read_itk(path: Path, image_io: str, *, channels: bool = False) -> Volume:
    """Read a file by a reader of ITK.

    Args:
        path: the file; for a pair, its header.
        image_io: name of ITK's reader.
        channels: read (X, Y, Z, C) instead of (X, Y, Z).

    Raises:
        UnreadableFileError: the file is absent, damaged or of another kind, or is not a volume of plain numbers.
    """
    reader = _reader(path, image_io)
    shape = _shape(path, reader, channels=channels)
    voxel_bytes = _bytes_of_a_number(path, reader)
    check_memory(path, math.prod(shape) * voxel_bytes)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _damaged(path, error) from error
    array = _array(image).reshape(shape)
    array.flags.writeable = False
    pair_without_orientation = image_io == "NiftiImageIO" and _is_analyze(path)
    warnings = (f"{path.name} {_ANALYZE_WARNING}",) if pair_without_orientation else ()
    return Volume(path=path, array=array, affine=_affine(path, reader), warnings=warnings)


def read_itk_grid(path: Path, image_io: str) -> Grid:
    """Shape and affine from the header alone; the numbers of a voxel, where it has several, are the last axis.

    Raises:
        UnreadableFileError: the header cannot be read.
    """
    reader = _reader(path, image_io)
    shape = tuple(map(int, reader.GetSize()))
    components = int(reader.GetNumberOfComponents())
    return (shape if components == 1 else (*shape, components)), _affine(path, reader)


def _reader(path: Path, image_io: str) -> Any:
    """ITK's reader after it has read the header."""
    import SimpleITK as sitk

    require_file(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _damaged(path, error) from error
    return reader


def _damaged(path: Path, error: RuntimeError) -> UnreadableFileError:
    """ITK's message without the source file and line that stand before it."""
    lines = str(error).strip().splitlines()
    reason = lines[-1].rsplit(": ", 1)[-1].strip().rstrip(".") if lines else "no reason known"
    return UnreadableFileError(path.name, f"is damaged or of another kind ({reason}). Copy the file again.")


def _shape(path: Path, reader: Any, *, channels: bool) -> tuple[int, ...]:
    sizes = tuple(map(int, reader.GetSize()))
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes = sizes[:-1]
    components = int(reader.GetNumberOfComponents())
    if len(sizes) == 4 and channels and components == 1:
        return sizes
    if len(sizes) != 3 or (components != 1 and not channels):
        components_text = f" of {components} numbers each" if components != 1 else ""
        hint = "Store each channel in a file of its own" if len(sizes) >= 3 else "Store the case as a volume"
        message = f"has {len(sizes)} dimensions {sizes}{components_text}; expected 3. {hint}."
        raise UnreadableFileError(path.name, message)
    if min(sizes) < 1:
        raise UnreadableFileError(path.name, f"has the shape {sizes}, which holds no voxels.")
    return (*sizes, components) if channels else sizes


def _bytes_of_a_number(path: Path, reader: Any) -> int:
    import SimpleITK as sitk

    name = str(sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    bits = re.search(r"(8|16|32|64)-bit", name)
    if "complex" in name or "label" in name or bits is None:
        raise UnreadableFileError(path.name, f"stores {name} voxels; expected whole or floating-point numbers.")
    return int(bits[1]) // 8


def _array(image: Any) -> NDArray[Any]:
    """Voxels in the order (X, Y, Z) or (X, Y, Z, C), without a copy."""
    import SimpleITK as sitk

    array: NDArray[Any] = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        return np.moveaxis(array, -1, 0).T
    return array.T


def _affine(path: Path, reader: Any) -> NDArray[np.float64]:
    dimension = int(reader.GetDimension())
    direction = np.asarray(reader.GetDirection(), np.float64).reshape(dimension, dimension)[:3, :3]
    spacing = np.asarray(reader.GetSpacing()[:3], np.float64)
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing
    affine[:3, 3] = reader.GetOrigin()[:3]
    affine = _LPS_TO_RAS @ affine
    if not np.isfinite(affine).all():
        raise UnreadableFileError(path.name, "has NaN or infinity in its geometry. Repair the header.")
    if min(spacing) <= 0 or abs(np.linalg.det(affine[:3, :3])) < 1e-3 * math.prod(spacing):
        message = f"has a geometry that maps no volume (spacing {spacing.tolist()} mm). Repair the header."
        raise UnreadableFileError(path.name, message)
    return affine


def _is_analyze(path: Path) -> bool:
    """Whether a header is that of an Analyze file: a NIfTI pair says `ni1` where Analyze has no such field."""
    with path.open("rb") as stream:
        stream.seek(344)
        return not stream.read(3).startswith(b"ni")
