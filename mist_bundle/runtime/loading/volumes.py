"""A preprocessed case as it lies in the cache, and the reading of a part of it.

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

from ..numerics.triples import Triple, triple

ENTRY_FILE = "entry.json"
VOXELS_FILE = "voxels.npy"


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
        classes = [StoredClass(**stored) for stored in content["classes"]]
        return cls(
            folder=folder,
            id=content["id"],
            shape=triple(content["shape"]),
            affine=tuple(map(tuple, content["affine"])),
            classes=tuple(classes),
        )

    def path(self, key: str) -> Path:
        """The file of an array: "image", "label" or "dtm"."""
        return self.folder / f"{key}.npy"

    def array(self, key: str) -> NDArray[Any]:
        """The mapped array (C, X, Y, Z), read-only; nothing is read before it is looked at."""
        return open_array(self.path(key))

    def voxel(self, stored: StoredClass, number: int) -> Triple:
        """The position of the `number`-th stored voxel of a class."""
        return triple(open_array(self.folder / VOXELS_FILE)[stored.first_row + number].tolist())


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
    everything = slice(None)
    source, target, steps = [everything], [everything], [everything]
    covers = True
    for first, size, length, flip in zip(start, extent, array.shape[1:], flips, strict=True):
        low = max(first, 0)
        high = max(min(first + size, length), low)
        source.append(slice(low, high))
        target.append(slice(low - first, high - first))
        steps.append(slice(None, None, -1 if flip else 1))
        covers = covers and high - low == size
    shape = (array.shape[0], *extent)
    result = np.empty(shape, array.dtype) if covers else np.zeros(shape, array.dtype)
    mirrored = result[tuple(steps)]  # writing through a mirrored view flips for free
    mirrored[tuple(target)] = array[tuple(source)]
    return result
