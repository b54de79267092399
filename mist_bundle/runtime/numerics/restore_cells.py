"""Network scores to a label map in the user's grid, cell by cell as a stream gives them.

Linear interpolation between two cells needs the last voxels of the one before. So the faces of a cell are kept until
all its neighbours have come, and each cell is interpolated with one voxel more on its low sides.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .crop import as_box, box_slices
from .grid import as_shape
from .restore import label_dtype, paint_classes, paint_regions, restoring_operators
from .spline import AxisOperator

Index = tuple[int, int, int]
_NEIGHBOURS = [offset for offset in itertools.product((0, 1), repeat=3) if any(offset)]


class LabelMapFromCells:
    """A label map (X, Y, Z) that grows with each cell.

    Args:
        shape: (X, Y, Z) of the prepared grid.
        affine: of the prepared grid.
        reference_affine: of the user's file.
        reference_shape: (X, Y, Z) of the user's file.
        crop_box: half-open box in the user's grid that was prepared, or None for the whole image.
        labels: label value of each class, background first; with `region_order`, the label that each region writes.
        region_order: for regions that may overlap: the order in which they are written over each other.

    Raises:
        ValueError: the grids are tilted against each other.
    """

    def __init__(
        self,
        shape: Sequence[int],
        affine: Any,
        reference_affine: Any,
        reference_shape: Sequence[int],
        crop_box: Any,
        labels: Sequence[int],
        region_order: Sequence[int] | None = None,
    ) -> None:
        whole = as_shape(reference_shape)
        box = as_box(crop_box, whole)
        self._axes, self._operators = restoring_operators(shape, affine, reference_affine, whole, box)
        self._shape = tuple(shape)
        self._labels = list(labels)
        self._order = None if region_order is None else list(region_order)
        outside = 0 if region_order is not None else self._labels[0]
        self.label_map = np.full(whole, outside, dtype=label_dtype([outside, *self._labels]))
        self._part = self.label_map[box_slices(box)]
        self._faces: dict[Index, list[NDArray[np.float32]]] = {}

    def add(self, cell: Index, box: Sequence[slice], scores: NDArray[np.float32]) -> None:
        """Put in a cell; those next to it on the low sides must have come before.

        Args:
            cell: its number along each axis of the prepared grid.
            box: its voxels.
            scores: (C, x, y, z).

        Raises:
            ValueError: not one score a label.
        """
        if len(scores) != len(self._labels):
            message = f"There are {len(scores)} score maps for {len(self._labels)} labels {self._labels}; there must be"
            raise ValueError(f"{message} one for each.")
        lows = [min(part.start, 1) for part in box]
        block = self._with_neighbours(cell, scores, lows)
        self._keep_faces(cell, box, scores)
        where: list[slice] = []
        operators: list[AxisOperator] = []
        for axis, operator in zip(self._axes, self._operators, strict=True):
            rows, part = _share(operator, box[axis].start, box[axis].stop, lows[axis])
            where.append(rows)
            operators.append(part)
        if any(rows.start == rows.stop for rows in where):
            return
        turned = block.transpose(0, *(1 + axis for axis in self._axes))
        # an axis without interpolation does not need the voxel more
        trimmed = [
            slice(lows[axis], None) if operator is None else slice(None)
            for axis, operator in zip(self._axes, self._operators, strict=True)
        ]
        turned = turned[(slice(None), *trimmed)]
        chosen = self._part[tuple(where)]
        if self._order is None:
            paint_classes(chosen, turned, operators, self._labels)
        else:
            paint_regions(chosen, turned, operators, self._labels, self._order)

    def _with_neighbours(self, cell: Index, scores: NDArray[np.float32], lows: Sequence[int]) -> NDArray[np.float32]:
        if not any(lows):
            return scores
        sizes = [length + low for length, low in zip(scores.shape[1:], lows, strict=True)]
        block = np.empty((len(scores), *sizes), np.float32)
        block[(slice(None), *(slice(low, None) for low in lows))] = scores
        for offset in _NEIGHBOURS:
            if any(step > low for step, low in zip(offset, lows, strict=True)):
                continue
            x, y, z = (number - step for number, step in zip(cell, offset, strict=True))
            face = self._faces[x, y, z][offset.index(1)]
            last = tuple(slice(-1, None) if step else slice(None) for step in offset)
            place = tuple(slice(0, 1) if step else slice(low, None) for step, low in zip(offset, lows, strict=True))
            block[(slice(None), *place)] = face[(slice(None), *last)]
        return block

    def _keep_faces(self, cell: Index, box: Sequence[slice], scores: NDArray[np.float32]) -> None:
        at_end = [part.stop == length for part, length in zip(box, self._shape, strict=True)]
        self._faces[cell] = [
            scores[(slice(None), *(slice(-1, None) if axis == face else slice(None) for axis in range(3)))].copy()
            for face in range(3)
        ]
        # the neighbour on all low sides has no further use, nor has what lies at an end
        behind = [(number - 1, number) if end else (number - 1,) for number, end in zip(cell, at_end, strict=True)]
        for x, y, z in itertools.product(*behind):
            self._faces.pop((x, y, z), None)


def _share(operator: AxisOperator, start: int, stop: int, low: int) -> tuple[slice, AxisOperator]:
    """The rows of an operator whose last voxel lies in start … stop, and how they read from there less `low`."""
    if operator is None:
        return slice(start, stop), None
    last = operator if operator.ndim == 1 else operator.shape[1] - 1 - (operator[:, ::-1] != 0).argmax(axis=1)
    rows = np.flatnonzero((last >= start) & (last < stop))
    if rows.size == 0:
        return slice(0, 0), None
    where = slice(int(rows[0]), int(rows[-1]) + 1)
    first = start - low
    return where, operator[where] - first if operator.ndim == 1 else operator[where, first:stop]
