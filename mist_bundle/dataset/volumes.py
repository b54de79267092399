"""Reading one NIfTI file whole, once, and refusing what is damaged.

The compressed bytes are unpacked in one go down to their checksum, so a file that was cut short or altered is always
noticed (SimpleITK reads such files without a word), and this is also faster than reading it as a stream.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.errors import InputError, Problem

_HEADER_BYTES = 540  # of NIfTI-2, the longer one
_SAME_GRID_VOXELS = 0.01  # difference between the two affines of one header that is worth a warning


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """An image in memory, exactly as stored.

    Attributes:
        path: the file.
        array: (X, Y, Z) voxels in the file's own axis order and data type, scaled if the header says so; read-only.
            With channels (X, Y, Z, C).
        affine: 4x4 float64, voxel index -> RAS+ millimetres.
        warnings: oddities of the header that do not forbid its use.
    """

    path: Path
    array: NDArray[Any]
    affine: NDArray[np.float64]
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's own name, for messages."""
        return self.path.name

    @property
    def shape(self) -> tuple[int, int, int]:
        """(X, Y, Z) voxels."""
        x, y, z = self.array.shape[:3]
        return x, y, z


def read_volume(path: Path) -> Volume:
    """Read a 3D NIfTI file.

    Raises:
        InputError: the file is absent, empty, cut short, damaged or no NIfTI file; it has not three dimensions, no
            plain numbers, or a geometry that is no geometry. The message says which and what to do.
    """
    return _read(path, _check_volume)


def read_channels(path: Path) -> Volume:
    """Read a NIfTI file of several channels, such as the probabilities of classes; its array is (X, Y, Z, C).

    A file of three dimensions has one channel.

    Raises:
        InputError: as for `read_volume`; it has neither three nor four dimensions.
    """
    volume = _read(path, _check_channels)
    return volume if volume.array.ndim == 4 else replace(volume, array=volume.array[..., None])


def _read(path: Path, check: Callable[[Path, tuple[int, ...]], None]) -> Volume:
    content = _unpack(path)
    image = _parse(path, content)
    proxy = image.dataobj
    shape = tuple(int(length) for length in proxy.shape)
    check(path, shape)
    _check_kind(path, shape, proxy.dtype)
    size = math.prod(shape)
    wanted = int(proxy.offset) + size * proxy.dtype.itemsize
    if len(content) < wanted:
        message = (
            f"is cut short: the header promises {wanted} bytes, but there are {len(content)}. Copy the file again."
        )
        raise _refused(path, message)
    array = np.frombuffer(content, dtype=proxy.dtype, count=size, offset=int(proxy.offset)).reshape(shape, order="F")
    if not proxy.dtype.isnative:
        array = array.astype(proxy.dtype.newbyteorder("="))
    if (proxy.slope, proxy.inter) != (1.0, 0.0):
        array = array * np.float64(proxy.slope) + np.float64(proxy.inter)
    affine = np.array(image.affine, dtype=np.float64)
    _check_affine(path, affine)
    return Volume(path=path, array=array, affine=affine, warnings=_header_warnings(path, image))


def read_affine(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Shape and affine from the header alone, without reading the voxels.

    Raises:
        InputError: the header cannot be read.
    """
    import nibabel as nib

    try:
        image: Any = nib.load(path)
    except _damage() as error:
        raise _refused(path, f"cannot be read as NIfTI ({error}).") from error
    return tuple(int(length) for length in image.shape), np.array(image.affine, dtype=np.float64)


def _unpack(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror or error}).") from error
    if not content:
        raise _refused(path, "is empty (0 bytes). Copy the file again.")
    if not path.name.lower().endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise _refused(path, "is cut short: its compressed data end too early. Copy the file again.") from error
    except (OSError, zlib.error) as error:
        raise _refused(path, f"is damaged or no gzip file ({error}). Copy the file again.") from error


def _parse(path: Path, content: bytes) -> Any:
    import nibabel as nib

    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        if kind.header_class.may_contain_header(content[:_HEADER_BYTES]):
            try:
                return kind.from_bytes(content)
            except _damage() as error:
                raise _refused(path, f"has a damaged NIfTI header ({error}).") from error
    raise _refused(path, "is no NIfTI file: it has no NIfTI header. Convert it, or remove it from the case.")


def _damage() -> tuple[type[Exception], ...]:
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    return ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError


def _check_volume(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 3:
        hint = "Store each channel in a file of its own" if len(shape) > 3 else "Store the case as a volume"
        raise _refused(path, f"has {len(shape)} dimensions {shape}; expected 3. {hint} (convert_msd splits 4D files).")


def _check_channels(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) not in (3, 4):
        raise _refused(path, f"has {len(shape)} dimensions {shape}; expected 4, the channels last.")


def _check_kind(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if min(shape) < 1:
        raise _refused(path, f"has the shape {shape}, which holds no voxels.")
    if dtype.kind not in "iuf":
        raise _refused(path, f"stores {dtype} voxels; expected whole or floating-point numbers.")


def _check_affine(path: Path, affine: NDArray[np.float64]) -> None:
    if not np.isfinite(affine).all():
        raise _refused(path, "has NaN or infinity in its affine. Repair the header.")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    # relative to the voxel's volume, so that neither small nor large voxels matter
    if min(spacing) <= 0 or abs(np.linalg.det(affine[:3, :3])) < 1e-3 * math.prod(spacing):
        raise _refused(path, f"has an affine that maps no volume (spacing {spacing.tolist()} mm). Repair the header.")


def _header_warnings(path: Path, image: Any) -> tuple[str, ...]:
    qform, qform_code = image.header.get_qform(coded=True)
    sform, sform_code = image.header.get_sform(coded=True)
    if not qform_code and not sform_code:
        return (f"{path.name} has no orientation in its header (qform and sform code 0); left and right are a guess.",)
    if qform_code and sform_code:
        apart = corner_distance(qform, sform, image.shape[:3])
        if apart > _SAME_GRID_VOXELS * min(np.linalg.norm(sform[:3, :3], axis=0)):
            message = f"{path.name} has a qform and an sform that lie up to {apart:.3g} mm apart; the sform is used."
            return (message,)
    return ()


def corner_distance(affine: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """Largest distance in millimetres between the positions that two affines give to the corners of one array."""
    corners = np.array(np.meshgrid(*[(0, length - 1) for length in shape], indexing="ij")).reshape(3, -1)
    difference = np.asarray(affine)[:3] - np.asarray(other)[:3]
    return float(np.linalg.norm(difference[:, :3] @ corners + difference[:, 3:], axis=0).max())


def _refused(path: Path, message: str) -> InputError:
    return InputError(Problem(path.name, message))
