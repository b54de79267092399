"""Network scores to a label map in the user's grid, cell by cell as they come from a stream.

Linear interpolation between two cells needs the last voxels of the earlier cell. So the faces of a cell are kept until
all its neighbours have come, and each cell is interpolated together with the layer of voxels before its low sides.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .crop import as_box, box_slices
from .grid import as_shape
from .restore import NO_AXIS, label_dtype, paint_classes, paint_regions, restoring_operators
from .spline import AxisOperator

Index = tuple[int, int, int]
_NONE = slice(0, 0)
# To the seven neighbours on the low sides; the first of the eight combinations is the cell itself.
_STEPS: list[Index] = list(np.ndindex(2, 2, 2))[1:]


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
        threshold: above which a voxel is in a region: 0.5 for probabilities, 0 for logits.
        nearest_axis: axis of the prepared grid that is not interpolated: the nearest voxel counts; -1 for none.

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
        threshold: float = 0.5,
        nearest_axis: int = NO_AXIS,
    ) -> None:
        whole = as_shape(reference_shape)
        box = as_box(crop_box, whole)
        grids = (shape, affine, reference_affine, whole)
        self._axes, self._operators = restoring_operators(*grids, box, nearest_axis)
        self._interpolated = [False] * 3  # for each prepared axis
        for axis, operator in zip(self._axes, self._operators, strict=True):
            self._interpolated[axis] = operator is not None and operator.ndim == 2
        self._shape = tuple(shape)
        self._labels = list(labels)
        self._order = None if region_order is None else list(region_order)
        self._threshold = threshold
        outside = 0 if region_order is not None else self._labels[0]
        self.label_map = np.full(whole, outside, dtype=label_dtype([outside, *self._labels]))
        self._part = self.label_map[box_slices(box)]
        self._faces: dict[Index, dict[int, NDArray[np.float32]]] = {}

    def add(self, cell: Index, box: Sequence[slice], scores: NDArray[np.float32]) -> None:
        """Add a cell; its neighbours on the low sides must have come before.

        Args:
            cell: its number along each axis of the prepared grid.
            box: its voxels.
            scores: (C, x, y, z).

        Raises:
            ValueError: scores and labels differ in number.
        """
        if len(scores) != len(self._labels):
            labels = f"{len(self._labels)} labels {self._labels}"
            raise ValueError(f"There are {len(scores)} score maps for {labels}; expected a map for each label.")
        # where an axis is interpolated, the last voxel of the neighbour is needed too
        lows = []
        for part, interpolated in zip(box, self._interpolated, strict=True):
            lows.append(int(interpolated and part.start > 0))
        where: list[slice] = []
        operators: list[AxisOperator] = []
        for axis, operator in zip(self._axes, self._operators, strict=True):
            rows, part_operator = _share(operator, box[axis].start, box[axis].stop, lows[axis])
            where.append(rows)
            operators.append(part_operator)
        if all(rows.start < rows.stop for rows in where):
            block = _Block(scores, self._axes, lows, self._neighbours(cell, lows))
            chosen = self._part[tuple(where)]
            if self._order is None:
                paint_classes(chosen, block, operators, self._labels)
            else:
                paint_regions(chosen, block, operators, self._labels, self._order, self._threshold)
        self._keep_faces(cell, box, scores)

    def _neighbours(self, cell: Index, lows: Sequence[int]) -> dict[Index, NDArray[np.float32]]:
        """The faces of the neighbours on the low sides, by the step to them."""
        faces: dict[Index, NDArray[np.float32]] = {}
        for step in _STEPS:
            if np.greater(step, lows).any():  # no neighbour there, or it is not needed
                continue
            neighbour = (cell[0] - step[0], cell[1] - step[1], cell[2] - step[2])
            faces[step] = self._faces[neighbour][step.index(1)]
        return faces

    def _keep_faces(self, cell: Index, box: Sequence[slice], scores: NDArray[np.float32]) -> None:
        if not any(self._interpolated):
            return
        faces: dict[int, NDArray[np.float32]] = {}
        no_longer_needed: list[tuple[int, ...]] = []
        for axis in range(3):
            number = cell[axis]
            if not self._interpolated[axis]:
                no_longer_needed.append((number,))
                continue
            at_end = box[axis].stop == self._shape[axis]
            no_longer_needed.append((number - 1, number) if at_end else (number - 1,))
            faces[axis] = scores.take([-1], axis=1 + axis)
        self._faces[cell] = faces
        for x, y, z in itertools.product(*no_longer_needed):
            self._faces.pop((x, y, z), None)


class _Block:
    """A cell with the voxels before it, its axes in the order of the label map; parts of a channel come on request.

    Args:
        scores: (C, x, y, z) of the cell.
        axes: of the prepared grid that run along the axes of the label map.
        lows: for each prepared axis, voxels before the cell: 0 or 1.
        faces: (C, …) with the last voxels of the cells before it, by the step to them.
    """

    def __init__(
        self,
        scores: NDArray[np.float32],
        axes: Sequence[int],
        lows: Sequence[int],
        faces: Mapping[Index, NDArray[np.float32]],
    ) -> None:
        self._scores = scores
        self._axes = list(axes)
        self._lows = lows
        self._faces = faces

    def __getitem__(self, key: tuple[int, slice, slice, slice]) -> NDArray[np.float32]:
        """A part (x, y, z) of a channel."""
        channel, *parts = key
        sizes, at_low = [0] * 3, [False] * 3
        inside: list[slice] = [_NONE] * 3
        places: list[slice] = [_NONE] * 3
        for axis, part in zip(self._axes, parts, strict=True):
            low = self._lows[axis]
            start, stop, _ = part.indices(self._scores.shape[1 + axis] + low)
            sizes[axis] = stop - start
            inside[axis] = slice(max(start - low, 0), max(stop - low, 0))
            places[axis] = slice(max(low - start, 0), None)
            at_low[axis] = low > start
        values: NDArray[np.float32] = self._scores[channel][tuple(inside)]
        if not any(at_low):
            return values.transpose(self._axes)
        block = np.empty(sizes, np.float32)
        block[tuple(places)] = values
        for step, face in self._faces.items():
            source, place = list(inside), list(places)
            for axis in range(3):
                if step[axis]:
                    source[axis], place[axis] = slice(-1, None), slice(0, int(at_low[axis]))
            block[tuple(place)] = face[channel][tuple(source)][_as_large(place)]
        return block.transpose(self._axes)


def _as_large(place: Sequence[slice]) -> tuple[slice, ...]:
    """As many voxels as there is place for: none where the part begins behind the neighbour's voxel."""
    return tuple(_NONE if part == _NONE else slice(None) for part in place)


def _share(operator: AxisOperator, start: int, stop: int, low: int) -> tuple[slice, AxisOperator]:
    """The rows whose last source voxel lies in start … stop, and their operator on the voxels start - low … stop."""
    if operator is None:
        return slice(start, stop), None
    last = operator if operator.ndim == 1 else operator.shape[1] - 1 - (operator[:, ::-1] != 0).argmax(axis=1)
    rows = np.flatnonzero((last >= start) & (last < stop))
    if rows.size == 0:
        return slice(0, 0), None
    where = slice(int(rows[0]), int(rows[-1]) + 1)
    first = start - low
    return where, operator[where] - first if operator.ndim == 1 else operator[where, first:stop]
