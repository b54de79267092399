"""MONAI's door to this package's reader: training and prediction see what analysis and scoring see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from monai.data.image_reader import NibabelReader
from monai.utils import ensure_tuple
from numpy.typing import NDArray

from ..numerics.same_grid import TOLERANCE_VOXELS
from ..reading.formats import is_readable_name, num_channels, read_channels, read_volume
from ..reading.nifti import unit_in_mm
from ..reading.volume import UnreadableFileError, Volume
from .volume import HEADER_WARNINGS, UNIT_IN_MM

# whole numbers that torch does not calculate with -> those that hold the same values
_TORCH_KINDS = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}


class NiftiReader(NibabelReader):
    """Reads volumes as `reading.read_volume` does, and several files as channels where their voxels coincide.

    A file that holds all channels is named once for each of them, and read once.

    Affine and all other meta entries are those of the first file; a channel that is stored in another order is turned.
    The affine is in millimetres whatever the header's unit; the header's own fields stay as they are.

    Args:
        tolerance_voxels: how far apart the same voxel may lie in two files, in units of the finest voxel side.
        as_float32: give float32 in C order, as MONAI makes of images afterwards by several copies of them; False gives
            what is stored, which labels need.
        kwargs: as for ``monai.data.NibabelReader``.

    Raises:
        ValueError: on reading files that are damaged, or differ in shape, or in place by more than the tolerance.

    Example: ``{"_target_": "LoadImaged", "keys": "image", "reader": "scripts.transforms.nifti_reader.NiftiReader"}``
    """

    def __init__(self, tolerance_voxels: float = TOLERANCE_VOXELS, as_float32: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tolerance_voxels = tolerance_voxels
        self.as_float32 = as_float32

    def read(self, data: Sequence[PathLike[str] | str] | PathLike[str] | str, **kwargs: Any) -> list[Path]:
        """The paths: MONAI tries its other readers where this fails, which would read a damaged file by other rules.

        Raises:
            UnreadableFileError: a file of another kind, which another of MONAI's readers may know.
        """
        paths = list(map(Path, ensure_tuple(data)))
        for path in paths:
            if not is_readable_name(path):
                raise UnreadableFileError(path.name, "is of a kind that this reader does not read.")
        return paths

    def get_data(self, img: Any) -> tuple[NDArray[Any], dict[Any, Any]]:
        """Values and meta dictionary of a file, or of several files as channels."""
        paths = ensure_tuple(img)
        if len(paths) > 1 and set(paths) == {paths[0]} and num_channels(paths[0]) == len(paths):
            with _refusing_large_numbers(paths[0]):
                return self._all_channels(paths[0])
        with _refusing_large_numbers(paths[0]):
            first = self._read(paths[0])
            if len(paths) == 1:
                return self._channel(first), _meta(first, first.warnings, float("nan"))
        return self._stacked(first, paths)

    def _stacked(self, first: Volume, paths: Sequence[Path]) -> tuple[NDArray[Any], dict[Any, Any]]:
        warnings = list(first.warnings)
        channels = np.empty((len(paths), *first.shape), np.float32) if self.as_float32 else None
        stored = []
        for index, path in enumerate(paths):
            with _refusing_large_numbers(path):
                volume = first if index == 0 else self._on_grid_of(first, path)
                warnings += volume.warnings
                if channels is None:
                    stored.append(self._channel(volume))
                else:
                    channels[index] = volume.array
        return np.stack(stored) if channels is None else channels, _meta(first, warnings, 0)

    def _all_channels(self, path: Path) -> tuple[NDArray[Any], dict[Any, Any]]:
        volume = read_channels(path, scaled=self._scaled)
        channels = np.moveaxis(volume.array, -1, 0)
        if self.as_float32:
            return np.ascontiguousarray(channels, dtype=np.float32), _meta(volume, volume.warnings, 0)
        return _for_torch(np.ascontiguousarray(channels)), _meta(volume, volume.warnings, 0)

    @property
    def _scaled(self) -> type[np.floating[Any]]:
        return np.float32 if self.as_float32 else np.float64

    def _read(self, path: Path) -> Volume:
        return read_volume(path, scaled=self._scaled)

    def _on_grid_of(self, first: Volume, path: Path) -> Volume:
        volume = self._read(path).on_grid_of(first, self.tolerance_voxels)
        finding = volume.grid_finding(first, self.tolerance_voxels)
        if finding:
            raise ValueError(f"The channels of a case must share a grid, but {finding}")
        return volume

    def _channel(self, volume: Volume) -> NDArray[Any]:
        if self.as_float32:
            return np.ascontiguousarray(volume.array, dtype=np.float32)
        return _for_torch(volume.array)


@contextmanager
def _refusing_large_numbers(path: Path) -> Iterator[None]:
    """Say so where a number is too large for float32, which would become infinity."""
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError as error:
        message = f"holds numbers above {np.finfo(np.float32).max:.1e}, which float32 cannot hold. Scale them down."
        raise UnreadableFileError(path.name, message) from error


def _for_torch(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(_TORCH_KINDS.get(array.dtype, array.dtype), copy=False)


def _meta(volume: Volume, warnings: Sequence[str], channel_dim: float) -> dict[Any, Any]:
    """The entries of a volume under the names of MONAI's own reader, and what only this reader knows."""
    pixdim = {"original_pixdim": np.array(volume.header["pixdim"])} if "pixdim" in volume.header else {}
    return {
        **volume.header,
        **pixdim,
        "affine": volume.affine.copy(),
        "original_affine": volume.affine.copy(),
        "as_closest_canonical": False,
        "spatial_shape": np.asarray(volume.shape),
        "space": "RAS",
        "original_channel_dim": channel_dim,
        HEADER_WARNINGS: "\n".join(dict.fromkeys(warnings)),
        UNIT_IN_MM: unit_in_mm(volume.header) if "xyzt_units" in volume.header else 1.0,
    }
