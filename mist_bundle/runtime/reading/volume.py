"""What reading an image file gives, and the readers by kind of file.

Whoever needs the voxels of a file asks `read_volume`: it refuses what is damaged, honours the units of the header, and
gives exactly what is stored, so that analysis, training, prediction and scoring see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.same_grid import TOLERANCE_VOXELS, grid_finding, onto_grid

# (X, Y, Z, …) and 4x4 affine to RAS+ millimetres
Grid = tuple[tuple[int, ...], NDArray[np.float64]]


class UnreadableFileError(ValueError):
    """A file cannot be used. `file_name` is its own name, `reason` what is wrong and what to do."""

    def __init__(self, file_name: str, reason: str) -> None:
        self.file_name = file_name
        self.reason = reason
        super().__init__(f"{file_name} {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it travel between processes."""
        return type(self), (self.file_name, self.reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """An image in memory, exactly as stored.

    Attributes:
        path: the file.
        array: (X, Y, Z) voxels in the file's own axis order and data type, scaled if the header says so; read-only.
            With channels (X, Y, Z, C).
        affine: 4x4 float64, voxel index -> RAS+ millimetres, whatever unit the header is in.
        header: fields of the NIfTI header as they are, in its own unit; empty for other kinds of file.
        warnings: oddities of the header that do not forbid its use; each names the file and says what to do.
    """

    path: Path
    array: NDArray[Any]
    affine: NDArray[np.float64]
    header: Mapping[str, Any] = field(default_factory=dict)
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

    def on_grid_of(self, other: Volume, tolerance_voxels: float = TOLERANCE_VOXELS) -> Volume:
        """The same volume in the storage order of another, where they then share a grid; else as it is.

        What is turned keeps the header of its file.
        """
        if self.array.ndim != 3:
            return self
        array, affine = onto_grid(self.array, self.affine, other.affine, other.shape, tolerance_voxels)
        return self if array is self.array else replace(self, array=array, affine=affine)

    def grid_finding(self, reference: Volume, tolerance_voxels: float = TOLERANCE_VOXELS) -> str:
        """Why this volume does not lie on the grid of another, or "" when it does."""
        return grid_finding(
            self.name,
            self.affine,
            self.shape,
            reference.name,
            reference.affine,
            reference.shape,
            tolerance_voxels,
        )
