"""NIfTI files: a header is believed only as far as the file bears it out, and memory is taken only for what it holds.

The compressed bytes are unpacked down to their checksum, so a file that was cut short or altered is always noticed
(SimpleITK reads such files silently). The rules, for all who read:

- the sform where it has a code, else the qform, else the header's own default with a warning;
- lengths in millimetres, also where the header's unit is metres or micrometres;
- trailing axes of length 1 are not axes: (X, Y, Z, 1) is a volume.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..numerics.grid import largest_distance
from ..numerics.slabs import slabs
from .files import check_memory, require_file
from .volume import Grid, UnreadableFileError, Volume

_SILENT = logging.Logger("header", logging.CRITICAL + 1)  # nibabel's remarks name no file
_GZIP = b"\x1f\x8b"
_HEADER_BYTES = 540  # of NIfTI-2; NIfTI-1 has fewer
_SINGLE_FILE = (b"n+1", b"n+2")
_SAME_GRID_VOXELS = 0.01  # difference between the two affines of a header that is worth a warning
_SAME_PIXDIM = 0.01  # relative difference between the voxel sizes that a header gives twice
# code of the header's spatial unit -> its name and millimetres; 0 is unknown, which everybody takes for millimetres
_UNITS = {1: ("metres", 1000.0), 2: ("millimetres", 1.0), 3: ("micrometres", 0.001)}
_BLOCK = 1 << 22  # bytes unpacked at a time
_PACKED_BLOCK = 1 << 18  # bytes read at a time where they are compressed: what is left over is copied
_MOST_COMPRESSED = 1100  # bytes that a byte of deflate can stand for (1032), and some for the frame
_MAX_SURPLUS = 1 << 30  # bytes behind the voxels; extensions stand before them


def read_nifti(path: Path, *, channels: bool = False, scaled: type[np.floating[Any]] = np.float64) -> Volume:
    """Read a NIfTI-1 or NIfTI-2 file.

    Args:
        path: a .nii or .nii.gz file.
        channels: read (X, Y, Z, C) instead of (X, Y, Z); a volume then has a single channel.
        scaled: type of voxels that the header scales; they are calculated in float64 and rounded once.

    Raises:
        UnreadableFileError: the file is absent, not a regular file, empty, cut short, damaged or not NIfTI; it does
            not have the expected dimensions, plain numbers, or a usable geometry.
    """
    with _opened(path) as stream:
        blocks = _blocks(path, stream)
        head = _first_bytes(blocks, _HEADER_BYTES)
        header = _parse(path, head)
        shape = _channel_shape(path, header) if channels else _volume_shape(path, header)
        dtype, offset = header.get_data_dtype(), int(header.get_data_offset())
        _check_kind(path, shape, dtype)
        _check_size(path, offset + math.prod(shape) * dtype.itemsize)
        affine = _affine(path, header)
        array = _voxels(path, head, blocks, offset, shape, dtype)
    return Volume(
        path=path,
        array=_scaled(path, array, header, scaled),
        affine=affine,
        header=_fields(header),
        warnings=_header_warnings(path, header, shape[:3]),
    )


def read_nifti_grid(path: Path) -> Grid:
    """Shape, as the header has it, and affine in millimetres, without reading the voxels.

    Raises:
        UnreadableFileError: the header cannot be read.
    """
    with _opened(path) as stream:
        header = _parse(path, _first_bytes(_blocks(path, stream), _HEADER_BYTES))
        return tuple(map(int, header.get_data_shape())), _affine(path, header)


def unit_in_mm(header: Any) -> float:
    """Millimetres in the spatial unit of a NIfTI header (any mapping with its fields)."""
    return _UNITS.get(int(header["xyzt_units"]) & 7, ("", 1.0))[1]


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file; what is none (a pipe, a device) could be endless."""
    require_file(path)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UnreadableFileError(path.name, f"cannot be read ({error.strerror or error}).") from error
    with stream:
        try:
            yield stream
        except MemoryError as error:
            raise UnreadableFileError(path.name, "does not fit into the memory of this machine.") from error
        except OSError as error:
            raise UnreadableFileError(path.name, f"cannot be read ({error.strerror or error}).") from error


def _is_compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _blocks(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    """The content of the file, unpacked; checked down to its end when all is taken."""
    if not _is_compressed(path):
        yield stream.read(_HEADER_BYTES)
        while block := stream.read(_BLOCK):
            yield block
        return
    try:
        yield from _unpacked(stream)
    except EOFError as error:
        message = "is cut short: its compressed data end too early. Copy the file again."
        raise UnreadableFileError(path.name, message) from error
    except zlib.error as error:
        stream.seek(0)
        if _holds_header(stream.read(_HEADER_BYTES)):
            message = f"is not compressed, though its name ends in .gz. Rename it {path.name[:-3]}, or compress it."
            raise UnreadableFileError(path.name, message) from error
        message = f"is damaged or no gzip file ({error}). Copy the file again."
        raise UnreadableFileError(path.name, message) from error


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """The members of a gzip file in turn, each down to its checksum."""
    packed = stream.read(_PACKED_BLOCK)
    length = _HEADER_BYTES  # little at first, so that nothing is unpacked for a header that is refused
    while packed:
        member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        while not member.eof:
            yield member.decompress(packed, length)
            packed, length = member.unconsumed_tail, _BLOCK
            if not packed and not member.eof:
                packed = stream.read(_PACKED_BLOCK)
                if not packed:
                    raise EOFError
        packed = member.unused_data.lstrip(b"\0") or stream.read(_PACKED_BLOCK).lstrip(b"\0")


def _first_bytes(blocks: Iterator[bytes], count: int) -> bytes:
    """At least `count` bytes where there are as many, and the rest of their block."""
    first = b""
    while len(first) < count:
        block = next(blocks, None)
        if block is None:
            break
        first += block
    return first


def _holds_header(head: bytes) -> bool:
    import nibabel as nib

    return any(kind.may_contain_header(head) for kind in (nib.Nifti1Header, nib.Nifti2Header))


def _parse(path: Path, head: bytes) -> Any:
    import nibabel as nib

    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        if not kind.may_contain_header(head[:_HEADER_BYTES]):
            continue
        try:
            header = kind(head[: kind.sizeof_hdr], check=False)
            sides = header["pixdim"][1:4].copy()
            header.check_fix(logger=_SILENT)
            header["pixdim"][1:4][sides == 0] = 0  # nibabel makes 1 mm of it
            header.get_data_dtype()
            header.get_data_shape()
            header.get_slope_inter()
            header.get_data_offset()
        except _damage() as error:
            raise UnreadableFileError(path.name, f"has a damaged NIfTI header ({error}).") from error
        magic = bytes(header["magic"].item())
        if not magic.startswith(_SINGLE_FILE):
            message = f"says in its header ({magic!r}) that its voxels are in another file (.img). Convert the pair."
            raise UnreadableFileError(path.name, message)
        return header
    if head.startswith(_GZIP):
        message = f"is compressed, though its name does not end in .gz. Rename it {path.name}.gz, or unpack it."
        raise UnreadableFileError(path.name, message)
    message = "is not a NIfTI file: it has no NIfTI header. Convert it, or remove it from the case."
    raise UnreadableFileError(path.name, message)


def _damage() -> tuple[type[Exception], ...]:
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    return ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, OverflowError


def _shape(header: Any) -> tuple[int, ...]:
    shape = tuple(map(int, header.get_data_shape()))
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _volume_shape(path: Path, header: Any) -> tuple[int, ...]:
    shape = _shape(header)
    if len(shape) != 3:
        hint = (
            "Store each channel in a file of its own (convert_msd and convert_csv do)"
            if len(shape) > 3
            else "Store the case as a volume"
        )
        message = f"has {len(shape)} dimensions {shape}; expected 3. {hint}."
        raise UnreadableFileError(path.name, message)
    return shape


def _channel_shape(path: Path, header: Any) -> tuple[int, ...]:
    shape = _shape(header)
    if len(shape) == 5 and shape[3] == 1:  # how ITK stores vectors
        shape = (*shape[:3], shape[4])
    if len(shape) not in (3, 4):
        message = f"has {len(shape)} dimensions {shape}; expected 4, the channels last."
        raise UnreadableFileError(path.name, message)
    return shape if len(shape) == 4 else (*shape, 1)


def _check_kind(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if min(shape) < 1:
        raise UnreadableFileError(path.name, f"has the shape {shape}, which holds no voxels.")
    if dtype.kind not in "iuf":
        message = f"stores {dtype} voxels; expected whole or floating-point numbers."
        raise UnreadableFileError(path.name, message)


def _check_size(path: Path, promised: int) -> None:
    """Refuse what cannot be there before memory is taken for it."""
    largest = path.stat().st_size
    there = str(largest)
    if _is_compressed(path):
        largest *= _MOST_COMPRESSED
        there = f"at most {largest}"
    if promised > largest:
        message = f"is cut short: the header promises {promised} bytes, but there are {there}. Copy the file again."
        raise UnreadableFileError(path.name, message)
    check_memory(path, promised)


def _voxels(
    path: Path, head: bytes, blocks: Iterator[bytes], offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The stored numbers in the machine's own byte order, x fastest."""
    size = math.prod(shape) * dtype.itemsize
    content = np.empty(size, np.uint8)
    position = -offset  # of the next byte, counted from the first voxel
    for block in _chained(head, blocks):
        first, last = max(position, 0), min(position + len(block), size)
        if first < last:
            content[first:last] = np.frombuffer(block, np.uint8, last - first, first - position)
        position += len(block)
        if position > size + _MAX_SURPLUS:
            message = "holds far more than its header promises. Repair the header, or write the file again."
            raise UnreadableFileError(path.name, message)
    if position < size:
        message = f"is cut short: the header promises {offset + size} bytes, but there are {offset + position}."
        raise UnreadableFileError(path.name, f"{message} Copy the file again.")
    array = content.view(dtype).reshape(shape, order="F")
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    array.flags.writeable = False
    return array


def _chained(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from blocks


def _scaled(path: Path, array: NDArray[Any], header: Any, dtype: type[np.floating[Any]]) -> NDArray[Any]:
    slope, inter = header.get_slope_inter()
    if slope is None or (slope, inter) == (1.0, 0.0):
        if array.dtype == np.uint64:
            return _signed(path, array)
        return array.astype(np.float64) if array.dtype.itemsize > 8 else array
    result = np.empty(array.shape, dtype, order="F")
    for slab in slabs(array):
        result[slab] = array[slab] * np.float64(slope) + np.float64(inter)
    return result


def _signed(path: Path, array: NDArray[Any]) -> NDArray[Any]:
    if array.max() > np.iinfo(np.int64).max:
        raise UnreadableFileError(path.name, "holds whole numbers above 2^63. Store it as int64 or smaller.")
    return array.view(np.int64)


def _affine(path: Path, header: Any) -> NDArray[np.float64]:
    try:
        affine = np.array(header.get_best_affine(), dtype=np.float64)
    except _damage() as error:
        raise UnreadableFileError(path.name, f"has no usable orientation in its header ({error}).") from error
    if not np.isfinite(affine).all():
        raise UnreadableFileError(path.name, "has NaN or infinity in its affine. Repair the header.")
    affine[:3] *= unit_in_mm(header)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    # relative to the voxel's volume, so that neither small nor large voxels matter
    if min(spacing) <= 0 or abs(np.linalg.det(affine[:3, :3])) < 1e-3 * math.prod(spacing):
        message = f"has an affine that maps no volume (spacing {spacing.tolist()} mm). Repair the header."
        raise UnreadableFileError(path.name, message)
    return affine


def _fields(header: Any) -> dict[str, Any]:
    """The numbers in little-endian order, as from MONAI's readers: torch takes no other."""
    native = header.as_byteswapped("<")
    return {name: value for name, value in native.items() if value.dtype.kind in "iuf"}


def _header_warnings(path: Path, header: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
    warnings = []
    sform, sform_code = header.get_sform(coded=True)
    try:
        qform, qform_code = header.get_qform(coded=True)
    except _damage():  # the quaternion is none; only reached where the sform is used
        warnings.append(f"{path.name} has a damaged qform; the sform is used.")
        qform, qform_code = None, 0
    if not int(header["qform_code"]) and not sform_code:
        message = f"{path.name} has no orientation in its header (qform and sform code 0); left and right are a guess."
        warnings.append(f"{message} Check them in a viewer.")
    if qform_code and sform_code:
        apart = largest_distance(sform, qform, shape)
        if not apart <= _SAME_GRID_VOXELS * min(np.linalg.norm(sform[:3, :3], axis=0)):
            apart *= unit_in_mm(header)
            message = f"{path.name} has a qform and an sform that lie up to {apart:.3g} mm apart; the sform is used."
            warnings.append(f"{message} Check which is right.")
    elif sform_code:
        warnings += _pixdim_warnings(path, header, np.linalg.norm(sform[:3, :3], axis=0))
    return tuple(warnings)


def _pixdim_warnings(path: Path, header: Any, spacing: NDArray[np.float64]) -> list[str]:
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    if np.all(np.abs(pixdim - spacing) <= _SAME_PIXDIM * spacing) or not pixdim.all():
        return []
    said = f"voxels of {_times(pixdim)}, but its sform of {_times(spacing)}"
    return [f"{path.name} says in its pixdim {said}; the sform is used. Check which is right."]


def _times(values: NDArray[np.float64]) -> str:
    return "{:.4g} x {:.4g} x {:.4g}".format(*values)
