"""One preprocessed case as it lies in the cache, and the reading of a part of it.

Arrays are (C, X, Y, Z) `.npy` files that are mapped into memory, so that a patch costs the bytes of that patch, not
those of the volume. The positions of each class's voxels lie beside them: no label map is searched while training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENTRY_FILE = "entry.json"
VOXELS_FILE = "voxels.npy"

Triple = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredClass:
    """Where a class's voxel positions lie in `voxels.npy`, and how many voxels the class has in the whole volume."""

    index: int
    first_row: int
    num_rows: int
    num_voxels: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """A case in the cache.

    Attributes:
        folder: the entry's own folder.
        id: the case's name.
        shape: (X, Y, Z) of the preprocessed volume.
        affine: 4x4, nibabel's RAS+ millimetres, row by row.
        classes: the classes present, background (0) left out.
    """

    folder: Path
    id: str
    shape: Triple
    affine: tuple[tuple[float, ...], ...]
    classes: tuple[StoredClass, ...]

    @classmethod
    def read(cls, folder: Path) -> CacheEntry:
        """Read the description of a complete entry."""
        content: dict[str, Any] = json.loads((folder / ENTRY_FILE).read_text(encoding="utf-8"))
        x, y, z = content["shape"]
        return cls(
            folder=folder,
            id=content["id"],
            shape=(x, y, z),
            affine=tuple(tuple(row) for row in content["affine"]),
            classes=tuple(StoredClass(**stored) for stored in content["classes"]),
        )

    def path(self, key: str) -> Path:
        """The file of one array: "image", "label" or "dtm"."""
        return self.folder / f"{key}.npy"

    def array(self, key: str) -> NDArray[Any]:
        """The mapped array (C, X, Y, Z), read-only; nothing is read before it is looked at."""
        return open_array(self.path(key))

    def voxel(self, stored: StoredClass, number: int) -> Triple:
        """The position of the `number`-th stored voxel of a class."""
        x, y, z = open_array(self.folder / VOXELS_FILE)[stored.first_row + number].tolist()
        return x, y, z


# A mapped file holds a file descriptor; common limits are 256 (macOS) and 1024 (Linux) in a process.
@lru_cache(maxsize=192)
def open_array(path: Path) -> NDArray[Any]:
    """Map a `.npy` file, read-only. Entries never change once written, so a mapping stays valid."""
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def read_region(
    array: NDArray[Any], start: Sequence[int], extent: Sequence[int], flips: Sequence[bool]
) -> NDArray[Any]:
    """Copy a box out of a volume, zeros where it reaches beyond, mirrored on the way.

    Args:
        array: (C, X, Y, Z).
        start: first voxel of the box on X, Y, Z; negative where the box begins before the volume.
        extent: size of the box.
        flips: axes on which the copy is mirrored.

    Returns:
        A new C-contiguous array (C, *extent) of the same dtype.
    """
    inner, outer, covers = [slice(None)], [slice(None)], True
    for first, size, length in zip(start, extent, array.shape[1:], strict=True):
        low, high = max(first, 0), max(min(first + size, length), max(first, 0))
        inner.append(slice(low, high))
        outer.append(slice(low - first, high - first))
        covers = covers and high - low == size
    shape = (array.shape[0], *extent)
    result = np.empty(shape, array.dtype) if covers else np.zeros(shape, array.dtype)
    # writing through a mirrored view flips for free
    mirrored = result[(slice(None), *(slice(None, None, -1 if flip else 1) for flip in flips))]
    mirrored[tuple(outer)] = array[tuple(inner)]
    return result
