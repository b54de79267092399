"""Images, label maps and masks at another voxel spacing, along the array axes and with the field of view's centre kept.

Images follow a cubic B-spline, labels are interpolated class by class, masks take the nearest voxel. Beyond the
outermost voxel centres the edge voxel counts. When the spacing is very uneven (above 3 to 1) the coarse axis takes the
nearest voxel instead, as the paper does: a spline across thick slices invents structure. Equal spacing changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from .grid import axis_coordinates, resampled_length, same_spacing
from .spline import AxisOperator, apply_separable, cubic_matrix, linear_matrix, nearest_indices, restrict

IntegerT = TypeVar("IntegerT", bound=np.integer[Any])
ScalarT = TypeVar("ScalarT", bound=np.generic)

# Paper, section 2.1.2.
ANISOTROPY_LIMIT = 3.0
# Two classes whose interpolated shares differ by less than float32 can tell are a tie, which the lower index wins.
_TIE_TOLERANCE = 1e-6


def coarse_axis(spacing_mm: Sequence[float]) -> int | None:
    """The axis with slices so thick (over 3 times the finest spacing) that it is not interpolated; None if none."""
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    return int(spacing.argmax()) if spacing.max() / spacing.min() > ANISOTROPY_LIMIT else None


def resample_image(
    array: NDArray[Any], spacing_mm: Sequence[float], target_spacing_mm: Sequence[float], *, clip: bool = True
) -> NDArray[np.float32]:
    """Resample intensities with a cubic B-spline.

    Args:
        array: (C, X, Y, Z).
        spacing_mm: of the array's axes.
        target_spacing_mm: of the result's axes.
        clip: keep each channel within the range of its source: splines overshoot, intensities must not.

    Returns:
        (C, X', Y', Z') float32.
    """
    source = np.asarray(array, dtype=np.float32)
    operators = _operators(source.shape[1:], spacing_mm, target_spacing_mm, cubic_matrix)
    if _nothing_to_do(operators):
        return source
    result = np.empty((len(source), *_result_shape(source.shape[1:], operators)), dtype=np.float32)
    for channel, volume in enumerate(source):
        resampled = apply_separable(volume, operators)
        if clip:
            np.clip(resampled, volume.min(), volume.max(), out=result[channel])
        else:
            result[channel] = resampled
    return result


def resample_nearest(
    array: NDArray[ScalarT], spacing_mm: Sequence[float], target_spacing_mm: Sequence[float]
) -> NDArray[ScalarT]:
    """Resample a (C, X, Y, Z) array of any type by taking the nearest voxel."""
    operators = _operators(array.shape[1:], spacing_mm, target_spacing_mm, None)
    if _nothing_to_do(operators):
        return array
    result = np.empty((len(array), *_result_shape(array.shape[1:], operators)), dtype=array.dtype)
    for channel, volume in enumerate(array):
        result[channel] = apply_separable(volume, operators)
    return result


def resample_label(
    array: NDArray[IntegerT], spacing_mm: Sequence[float], target_spacing_mm: Sequence[float], num_classes: int
) -> NDArray[IntegerT]:
    """Resample a label map: each class is interpolated linearly, and every voxel goes to the class with most of it.

    Each class is worked on inside its own bounding box only, so many classes cost little more time and memory than few.

    Args:
        array: (X, Y, Z) class indices 0 ... num_classes - 1; 0 is the background.
        spacing_mm: of the array's axes.
        target_spacing_mm: of the result's axes.
        num_classes: including the background.

    Returns:
        (X', Y', Z') of the same type. Equal shares go to the lower index.

    Raises:
        ValueError: an index lies outside 0 ... num_classes - 1.
    """
    _check_classes(array, num_classes)
    operators = _operators(array.shape, spacing_mm, target_spacing_mm, linear_matrix)
    if _nothing_to_do(operators):
        return array
    shape = _result_shape(array.shape, operators)
    result = np.zeros(shape, dtype=array.dtype)
    best, total = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for index, box in enumerate(find_objects(array, max_label=num_classes - 1), start=1):
        region = None if box is None else restrict(operators, box, array.shape)
        if region is None:
            continue
        where, inside = region
        share = apply_separable((array[box] == index).astype(np.float32), inside)
        total[where] += share
        won = share > best[where] + _TIE_TOLERANCE
        best[where][won] = share[won]
        result[where][won] = index
    # All shares add up to 1, so what the classes leave is the background's; its map need not be interpolated.
    result[1 - total >= best - _TIE_TOLERANCE] = 0
    return result


def _check_classes(array: NDArray[Any], num_classes: int) -> None:
    if not np.issubdtype(array.dtype, np.integer):
        msg = f"A label map must hold integer class indices, but its type is {array.dtype}."
        raise ValueError(msg)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= num_classes:
        msg = f"Class indices must lie in 0 ... {num_classes - 1}, but this label map holds {low} ... {high}."
        raise ValueError(msg)


def _operators(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    target_spacing_mm: Sequence[float],
    interpolation: Callable[[int, NDArray[np.float64]], NDArray[np.float32]] | None,
) -> list[AxisOperator]:
    """The operator of each axis: the nearest voxel without an `interpolation`, and along the coarse axis."""
    coarse = coarse_axis(spacing_mm)
    operators: list[AxisOperator] = []
    for axis, (length, spacing, target) in enumerate(zip(shape, spacing_mm, target_spacing_mm, strict=True)):
        if same_spacing(spacing, target):
            operators.append(None)
            continue
        new_length = resampled_length(length, spacing, target)
        coordinates = axis_coordinates(length, new_length, spacing, target)
        if interpolation is None or axis == coarse:
            operators.append(nearest_indices(length, coordinates))
        else:
            operators.append(interpolation(length, coordinates))
    return operators


def _nothing_to_do(operators: Sequence[AxisOperator]) -> bool:
    return all(operator is None for operator in operators)


def _result_shape(shape: Sequence[int], operators: Sequence[AxisOperator]) -> tuple[int, ...]:
    lengths = list(shape)
    for axis, operator in enumerate(operators):
        if operator is not None:
            lengths[axis] = len(operator)
    return tuple(lengths)
