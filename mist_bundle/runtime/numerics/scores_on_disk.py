"""Scores of a stream wait on the disk until the case is complete, and come back in the user's grid, slab by slab.

A file of probabilities stores class by class, whereas a stream yields place by place, with all classes. So the cells
are put into a file as they come, and each class is gathered from it, restored and returned in the order in which an
image file stores its voxels. Memory holds a slab of a single class.
"""

from __future__ import annotations

import math
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .crop import as_box, box_slices
from .grid import as_shape
from .restore import NO_AXIS, columns_of, restoring_operators
from .spline import apply_separable

_SLAB_VOXELS = 1 << 24  # of a file that are restored at a time: 64 MB
_NUM_BYTES = np.dtype(np.float32).itemsize


@dataclass(frozen=True, slots=True)
class _Kept:
    """A cell in the file: its voxels, and where its first channel begins."""

    box: tuple[slice, ...]
    offset: int

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(part.stop - part.start for part in self.box)


class ScoresOnDisk:
    """Score maps (C, X, Y, Z) of a case, put in by cells and read by channels.

    Args:
        folder: where they wait, in a file without a name that ends with this object or the process.
        shape: (X, Y, Z) of the prepared grid.
        affine: of the prepared grid.
        reference_affine: of the user's file.
        reference_shape: (X, Y, Z) of the user's file.
        crop_box: half-open box in the user's grid that was prepared, or None for the whole image.
        nearest_axis: axis of the prepared grid that is not interpolated: the nearest voxel counts; -1 for none.

    Raises:
        ValueError: the grids are tilted against each other.
    """

    def __init__(
        self,
        folder: Path,
        shape: Sequence[int],
        affine: Any,
        reference_affine: Any,
        reference_shape: Sequence[int],
        crop_box: Any = None,
        nearest_axis: int = NO_AXIS,
    ) -> None:
        self.shape = as_shape(reference_shape)
        box = as_box(crop_box, self.shape)
        self._inside = box_slices(box)
        grids = (shape, affine, reference_affine, self.shape)
        self._axes, self._operators = restoring_operators(*grids, box, nearest_axis)
        self._prepared_shape = tuple(shape)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".scores.")  # noqa: SIM115 - closed by `close`
        weakref.finalize(self, self._file.close)
        self._cells: list[_Kept] = []

    def add(self, box: Sequence[slice], scores: NDArray[np.float32]) -> None:
        """Keep a cell (C, x, y, z).

        Raises:
            OSError: the disk is full.
        """
        self._cells.append(_Kept(tuple(box), self._file.tell()))
        self._file.write(np.ascontiguousarray(scores, np.float32).data)

    def slabs(self, channel: int, outside: float = 0.0) -> Iterator[NDArray[np.float32]]:
        """A channel in the user's grid, interpolated linearly.

        Args:
            channel: which.
            outside: value beyond the box that was prepared.

        Yields:
            (X, Y, z) parts that follow each other along the last axis.
        """
        first, last = self._inside[2].start, self._inside[2].stop
        rows = max(1, _SLAB_VOXELS // max(1, math.prod(self.shape[:2])))
        for start in range(0, self.shape[2], rows):
            stop = min(start + rows, self.shape[2])
            slab = np.full((*self.shape[:2], stop - start), outside, np.float32, order="F")
            reached = slice(max(start, first) - first, min(stop, last) - first)
            if reached.start < reached.stop:
                place = slice(reached.start + first - start, reached.stop + first - start)
                slab[(*self._inside[:2], place)] = self._restored(channel, reached)
            yield slab

    def close(self) -> None:
        """Free the space on the disk."""
        self._file.close()

    def _restored(self, channel: int, rows: slice) -> NDArray[np.float32]:
        columns, operator = columns_of(self._operators[2], rows)
        volume = self._gathered(channel, self._axes[2], columns)
        restored: NDArray[np.float32] = apply_separable(volume.transpose(self._axes), [*self._operators[:2], operator])
        return restored

    def _gathered(self, channel: int, axis: int, part: slice) -> NDArray[np.float32]:
        """A layer of a channel across an axis of the prepared grid."""
        shape = list(self._prepared_shape)
        shape[axis] = part.stop - part.start
        layer = np.empty(shape, np.float32)
        for cell in self._cells:
            low, high = max(part.start, cell.box[axis].start), min(part.stop, cell.box[axis].stop)
            if low >= high:
                continue
            place, inside = list(cell.box), [slice(None)] * 3
            place[axis] = slice(low - part.start, high - part.start)
            inside[axis] = slice(low - cell.box[axis].start, high - cell.box[axis].start)
            layer[tuple(place)] = self._read(cell, channel)[tuple(inside)]
        return layer

    def _read(self, cell: _Kept, channel: int) -> NDArray[np.float32]:
        count = math.prod(cell.shape)
        self._file.seek(cell.offset + channel * count * _NUM_BYTES)
        return np.frombuffer(self._file.read(count * _NUM_BYTES), np.float32).reshape(cell.shape)
