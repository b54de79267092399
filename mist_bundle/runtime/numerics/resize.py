"""Volumes at another number of voxels, by nnU-Net's rules: first the new shape, then each axis is stretched to it.

The outer faces of the first and last voxel stay where they are, so the spacing that results is not exactly the target.
Where slices are far apart (over 3 times the finest spacing), they are resized singly and picked by the nearest
neighbour across. Source: nnU-Net v2, preprocessing/resampling/default_resampling.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .grid import Affine, Shape, as_affine, as_shape
from .resample import ANISOTROPY_LIMIT
from .spline import AxisOperator, apply_separable, cubic_matrix_between_edges, linear_matrix, nearest_indices

IntegerT = TypeVar("IntegerT", bound=np.integer[Any])
ORDERS = (0, 1, 3)  # nearest neighbour, linear, cubic spline
_TIE = 1e-6  # float32 shares that differ by less are equal


def stretched_shape(shape: Sequence[int], spacing_mm: Sequence[float], target_spacing_mm: Sequence[float]) -> Shape:
    """(X, Y, Z) at another spacing: rounded to the nearest whole number, halves to the even one, at least 1."""
    lengths = []
    for length, spacing, target in zip(as_shape(shape), spacing_mm, target_spacing_mm, strict=True):
        lengths.append(max(1, round(spacing / target * length)))
    return as_shape(lengths)


def stretched_affine(affine: Any, shape: Sequence[int], new_shape: Sequence[int]) -> Affine:
    """Affine of a grid (X, Y, Z) that was stretched to another number of voxels within the same outer faces."""
    to_source = np.eye(4)
    for axis in range(3):
        step = int(shape[axis]) / int(new_shape[axis])
        to_source[axis, axis], to_source[axis, 3] = step, (step - 1) / 2
    return as_affine(affine) @ to_source


def slice_axis(
    spacing_mm: Sequence[float], other_spacing_mm: Sequence[float], *, separate: bool | None = None
) -> int | None:
    """The axis whose slices are resized singly; None if all axes are treated alike.

    Args:
        spacing_mm: of the source: if it is anisotropic, it decides.
        other_spacing_mm: of the result, which decides otherwise.
        separate: True to take the coarsest axis of the source in any case, False to take none.
    """
    if separate is not None:
        return _coarsest(spacing_mm) if separate else None
    for spacing in (spacing_mm, other_spacing_mm):
        if max(spacing) / min(spacing) > ANISOTROPY_LIMIT:
            return _coarsest(spacing)
    return None


def _coarsest(spacing_mm: Sequence[float]) -> int | None:
    """The axis with the largest spacing; None if several share it, as with thin slices of coarse pixels."""
    coarsest = [axis for axis in range(3) if max(spacing_mm) / spacing_mm[axis] == 1]
    return coarsest[0] if len(coarsest) == 1 else None


def resize_image(
    array: NDArray[Any], new_shape: Sequence[int], *, order: int, across: int | None = None, order_across: int = 0
) -> NDArray[np.float32]:
    """Stretch intensities to another shape.

    Args:
        array: (C, X, Y, Z).
        new_shape: (X, Y, Z) of the result.
        order: of the interpolation: 0, 1 or 3.
        across: axis whose slices are resized singly (`slice_axis`).
        order_across: order along that axis.

    Returns:
        (C, X', Y', Z') float32, within the range of the source, or of the source's slices where these are resized
        singly.
    """
    source = np.asarray(array, dtype=np.float32)
    if source.shape[1:] == as_shape(new_shape):
        return source
    result = np.empty((len(source), *as_shape(new_shape)), dtype=np.float32)
    for channel, volume in enumerate(source):
        operators = _operators(volume.shape, new_shape, order, across, order_across)
        if across is None:
            result[channel] = np.clip(apply_separable(volume, operators), volume.min(), volume.max())
            continue
        last: list[AxisOperator] = [None] * 3
        last[across], operators[across] = operators[across], None
        slices = tuple(axis for axis in range(3) if axis != across)
        low, high = volume.min(axis=slices, keepdims=True), volume.max(axis=slices, keepdims=True)
        result[channel] = apply_separable(np.clip(apply_separable(volume, operators), low, high), last)
    return result


def resize_label(
    array: NDArray[IntegerT],
    new_shape: Sequence[int],
    num_classes: int,
    *,
    order: int,
    across: int | None = None,
    order_across: int = 0,
) -> NDArray[IntegerT]:
    """Stretch a label map to another shape: each class is interpolated, and a voxel belongs to the largest.

    Args:
        array: (X, Y, Z) class indices; 0 is the background.
        new_shape: (X, Y, Z) of the result.
        num_classes: including the background.
        order: of the interpolation: 0, 1 or 3.
        across: axis whose slices are resized singly.
        order_across: order along that axis.

    Returns:
        (X', Y', Z') of the same type. Where classes are equally large, the nearest voxel decides between them.
    """
    if array.shape == as_shape(new_shape):
        return array
    operators = _operators(array.shape, new_shape, order, across, order_across)
    nearest = apply_separable(array, _operators(array.shape, new_shape, 0, across, 0))
    result = np.zeros(as_shape(new_shape), dtype=array.dtype)
    best = np.full(result.shape, -1, dtype=np.float32)
    for index in range(num_classes):
        mask = array == index
        if not mask.any():
            continue
        share = apply_separable(mask.astype(np.float32), operators)
        tied = np.abs(share - best) <= _TIE
        won = np.where(tied, nearest == index, share > best)
        best = np.maximum(best, share)
        result[won] = index
    return result


def _operators(
    shape: Sequence[int], new_shape: Sequence[int], order: int, across: int | None, order_across: int
) -> list[AxisOperator]:
    operators: list[AxisOperator] = []
    for axis in range(3):
        axis_order = order_across if axis == across else order
        operators.append(_operator(int(shape[axis]), int(new_shape[axis]), axis_order))
    return operators


def _operator(length: int, new_length: int, order: int) -> AxisOperator:
    if length == new_length:
        return None
    middles = (np.arange(new_length) + 0.5) * (length / new_length)  # in the source, from its outer face
    coordinates: NDArray[np.float64] = (middles - 0.5).astype(np.float64)
    if order == 0:
        return nearest_indices(length, coordinates)
    return linear_matrix(length, coordinates) if order == 1 else cubic_matrix_between_edges(length, coordinates)
