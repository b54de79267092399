"""Network scores from the prepared grid back to the grid of the user's file.

Everything follows from the two affines: together they say which axis of the prepared grid runs along which axis of the
file, in which direction and how fast. Classes are handled one after the other, so memory does not grow with their
number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .crop import Box, as_box, bounding_box, box_slices
from .grid import Shape, as_shape, index_map, is_signed_permutation, permute_axes
from .spline import AxisOperator, apply_separable, linear_matrix, nearest_indices, restrict

# Affines from float32 headers leave noise of this size (in voxels) where the grids in truth coincide.
_SNAP_VOXELS = 1e-4
# Half-way between two voxels two classes are equal; the noise of a float32 header must not choose between them.
_TIE = 1e-5
# How far the probabilities of a voxel may miss 1 in sum (float32 arithmetic) before they are scaled.
_SUM_TOLERANCE = 1e-5
_HALF = 0.5
NO_AXIS = -1  # every axis is interpolated
_SLAB_VOXELS = 1 << 18  # of a label map that are worked on at a time: 1 MB of float32
_ALL = slice(None)


class Volumes(Protocol):
    """An array (C, X, Y, Z), or an object that computes parts of it on request."""

    def __getitem__(self, key: tuple[int, slice, slice, slice], /) -> NDArray[Any]:
        """A part (x, y, z) of a channel."""


def restore_label_from_scores(
    scores: NDArray[Any],
    affine: Any,
    reference_affine: Any,
    reference_shape: Sequence[int],
    crop_box: Any,
    labels: Sequence[int],
) -> NDArray[Any]:
    """Label map in the user's grid: interpolate each class linearly, take the largest.

    Args:
        scores: (C, X, Y, Z) probabilities or logits on the prepared grid.
        affine: of the prepared grid.
        reference_affine: of the user's file.
        reference_shape: (X, Y, Z) of the user's file.
        crop_box: half-open box in the user's grid that was prepared, or None for the whole image.
        labels: label value of each class; the first is the background and fills everything outside the box.

    Returns:
        (X, Y, Z) of the smallest integer type that holds the labels. Equal scores (to 1e-5) go to the class that comes
        first.

    Raises:
        ValueError: scores and labels differ in number, or the grids are tilted against each other.
    """
    if len(scores) != len(labels):
        text = f"{len(labels)} labels {list(labels)}"
        msg = f"There are {len(scores)} score maps for {text}; expected a map for each label."
        raise ValueError(msg)
    shape = as_shape(reference_shape)
    inside, turned, operators = _along_reference(scores, affine, reference_affine, shape, crop_box)
    result = np.full(shape, labels[0], dtype=label_dtype(labels))
    paint_classes(result[inside], turned, operators, labels)
    return result


def paint_classes(
    chosen: NDArray[Any], scores: Volumes, operators: Sequence[AxisOperator], labels: Sequence[int]
) -> None:
    """Write the label of the class with the largest interpolated score.

    Args:
        chosen: (x, y, z) label map, or a view of its part, that is written to; it holds the first label everywhere.
        scores: (C, …) with the axes in the order of the label map, or an object that computes parts of such an array.
        operators: from the axes of the scores to those of `chosen`.
        labels: of the classes.
    """
    # a slab at a time stays in the processor's cache while the classes go by
    rows = max(1, _SLAB_VOXELS // max(1, math.prod(chosen.shape[1:])))
    for start in range(0, len(chosen), rows):
        source, operator = columns_of(operators[0], slice(start, min(start + rows, len(chosen))))
        _paint_slab(chosen[start : start + rows], scores, source, [operator, *operators[1:]], labels)


def _paint_slab(
    chosen: NDArray[Any], scores: Volumes, source: slice, operators: Sequence[AxisOperator], labels: Sequence[int]
) -> None:
    background = scores[0, source, _ALL, _ALL]
    best = np.array(_interpolate(background, operators))
    for index in range(1, len(labels)):
        volume = scores[index, source, _ALL, _ALL]
        # Interpolation averages over neighbours: a class that nowhere beats the background cannot win anywhere near.
        candidates = bounding_box(volume > background)
        region = None if candidates is None else restrict(operators, box_slices(candidates), volume.shape)
        if region is None:
            continue
        where = region[0]
        score = _interpolate_part(volume, operators, where)
        won = score > best[where] + _TIE
        np.copyto(best[where], score, where=won)
        chosen[where][won] = labels[index]


def columns_of(operator: AxisOperator, rows: slice) -> tuple[slice, AxisOperator]:
    """The voxels that some rows of an operator read, and the operator from these alone."""
    if operator is None:
        return rows, None
    chosen = operator[rows]
    used = chosen if chosen.ndim == 1 else np.flatnonzero(chosen.any(axis=0))
    columns = slice(int(used.min()), int(used.max()) + 1)
    return columns, chosen - columns.start if chosen.ndim == 1 else chosen[:, columns]


def restore_label_from_regions(
    scores: NDArray[Any],
    affine: Any,
    reference_affine: Any,
    reference_shape: Sequence[int],
    crop_box: Any,
    labels: Sequence[int],
    order: Sequence[int],
) -> NDArray[Any]:
    """Label map in the user's grid, of regions that may overlap: each is written over those before it.

    Args:
        scores: (R, X, Y, Z) probability of each region on the prepared grid; above 0.5 a voxel is in the region.
        affine: of the prepared grid.
        reference_affine: of the user's file.
        reference_shape: (X, Y, Z) of the user's file.
        crop_box: half-open box in the user's grid that was prepared, or None for the whole image.
        labels: label value that each region writes.
        order: the regions in the order in which they are written, those inside others last.

    Returns:
        (X, Y, Z) of the smallest integer type that holds the labels; 0 where there is no region.

    Raises:
        ValueError: a region lacks a label or a place in the order, or the grids are tilted against each other.
    """
    if len(scores) != len(labels) or sorted(order) != list(range(len(scores))):
        msg = f"There are {len(scores)} regions, but their labels are {list(labels)} and their order {list(order)}."
        raise ValueError(msg)
    shape = as_shape(reference_shape)
    inside, turned, operators = _along_reference(scores, affine, reference_affine, shape, crop_box)
    result = np.zeros(shape, dtype=label_dtype([0, *labels]))
    paint_regions(result[inside], turned, operators, labels, order)
    return result


def paint_regions(
    chosen: NDArray[Any],
    scores: Volumes,
    operators: Sequence[AxisOperator],
    labels: Sequence[int],
    order: Sequence[int],
    threshold: float = _HALF,
) -> None:
    """Write regions over each other, each where its interpolated score is above a threshold.

    Args:
        chosen: (x, y, z) label map, or a view of its part, that is written to; it holds 0 everywhere.
        scores: (R, …) with the axes in the order of the label map, or an object that computes parts of such an array.
        operators: from the axes of the scores to those of `chosen`.
        labels: that the regions write.
        order: in which they are written.
        threshold: 0.5 for probabilities, 0 for logits.
    """
    for index in order:
        volume = scores[index, _ALL, _ALL, _ALL]
        # Interpolation averages over neighbours: only near a voxel above the threshold can the result be above it.
        candidates = bounding_box(volume > threshold)
        region = None if candidates is None else restrict(operators, box_slices(candidates), volume.shape)
        if region is not None:
            where = region[0]
            chosen[where][_interpolate_part(volume, operators, where) > threshold] = labels[index]


def restore_scores(
    scores: NDArray[Any],
    affine: Any,
    reference_affine: Any,
    reference_shape: Sequence[int],
    crop_box: Any = None,
    *,
    exclusive: bool = True,
) -> NDArray[np.float32]:
    """Probability maps in the user's grid.

    Args:
        scores: (C, X, Y, Z) probabilities on the prepared grid, background first.
        affine: of the prepared grid.
        reference_affine: of the user's file.
        reference_shape: (X, Y, Z) of the user's file.
        crop_box: half-open box in the user's grid that was prepared, or None for the whole image.
        exclusive: False for regions that may overlap, which have no background among them.

    Returns:
        (C, X, Y, Z) float32 in [0, 1]; every voxel sums to 1, and outside the box the background is 1. Regions do not
        add up to anything, and outside the box they are 0.

    Raises:
        ValueError: the grids are tilted against each other, or the scores are not probabilities.
    """
    shape = as_shape(reference_shape)
    probabilities = _as_probabilities(scores) if exclusive else np.asarray(scores, dtype=np.float32)
    inside, turned, operators = _along_reference(probabilities, affine, reference_affine, shape, crop_box)
    result = np.zeros((len(scores), *shape), dtype=np.float32)
    result[0] = float(exclusive)
    for target, volume in zip(result, turned, strict=True):
        target[inside] = _interpolate(volume, operators)
    return result


def label_dtype(labels: Sequence[int]) -> np.dtype[Any]:
    """The smallest integer type that holds all labels; unsigned unless there are negative labels."""
    low, high = min(labels), max(labels)
    candidates = (np.uint8, np.uint16, np.uint32) if low >= 0 else (np.int16, np.int32, np.int64)
    for candidate in candidates:
        if np.iinfo(candidate).min <= low and high <= np.iinfo(candidate).max:
            return np.dtype(candidate)
    return np.dtype(np.int64)


def restoring_operators(
    shape: Sequence[int],
    affine: Any,
    reference_affine: Any,
    reference_shape: Shape,
    box: Box,
    nearest_axis: int = NO_AXIS,
) -> tuple[list[int], list[AxisOperator]]:
    """Which prepared axis runs along each axis of the reference, and the operator that interpolates along it.

    Along the prepared axis `nearest_axis` it takes the nearest voxel.
    """
    to_prepared = index_map(reference_affine, affine)
    if not is_signed_permutation(to_prepared, reference_shape):
        msg = (
            "The prepared grid is tilted against the grid of the original file, so the prediction cannot be carried "
            f"back axis by axis. The map from original to prepared voxels is\n{np.round(to_prepared, 4)}"
        )
        raise ValueError(msg)
    axes = np.abs(to_prepared[:3, :3]).argmax(axis=0).tolist()
    middle = (np.asarray(reference_shape) - 1) / 2
    operators: list[AxisOperator] = []
    for axis, prepared_axis in enumerate(axes):
        step = to_prepared[prepared_axis, axis]
        # The other axes contribute nothing but rounding noise; counted at the image's middle it does the least harm.
        start = to_prepared[prepared_axis, 3] + to_prepared[prepared_axis, :3] @ middle - step * middle[axis]
        coordinates = start + step * np.arange(box[0][axis], box[1][axis])
        if prepared_axis == nearest_axis:
            coordinates = np.floor(coordinates + _HALF + _TIE).clip(0, shape[prepared_axis] - 1)
        operators.append(_operator(int(shape[prepared_axis]), coordinates))
    return axes, operators


def _along_reference(
    maps: NDArray[Any], affine: Any, reference_affine: Any, reference_shape: Shape, crop_box: Any
) -> tuple[tuple[slice, slice, slice], NDArray[Any], list[AxisOperator]]:
    """Bring maps into the axis order of the reference, the first step of all restoring.

    Returns:
        The part of the reference that was prepared, a view of the maps with their axes in the order of the reference,
        and the operator along each of these axes.
    """
    box = as_box(crop_box, reference_shape)
    axes, operators = restoring_operators(maps.shape[1:], affine, reference_affine, reference_shape, box)
    return box_slices(box), permute_axes(np.asarray(maps), axes), operators


def _operator(length: int, coordinates: NDArray[np.float64]) -> AxisOperator:
    whole = np.rint(coordinates)
    position = np.clip(np.where(np.abs(coordinates - whole) < _SNAP_VOXELS, whole, coordinates), 0, length - 1)
    if np.array_equal(position, np.arange(length)):
        return None
    if np.array_equal(position, np.rint(position)):
        return nearest_indices(length, position)
    return linear_matrix(length, position)


def _interpolate(volume: NDArray[Any], operators: Sequence[AxisOperator]) -> NDArray[np.float32]:
    return apply_separable(np.asarray(volume, dtype=np.float32), operators)


def _interpolate_part(
    volume: NDArray[Any], operators: Sequence[AxisOperator], where: Sequence[slice]
) -> NDArray[np.float32]:
    """The part `where` of the interpolated volume, reading only the voxels that it needs."""
    source: list[slice] = []
    parts: list[AxisOperator] = []
    for operator, rows in zip(operators, where, strict=True):
        columns, part = columns_of(operator, rows)
        source.append(columns)
        parts.append(part)
    return _interpolate(volume[tuple(source)], parts)


def _as_probabilities(scores: NDArray[Any]) -> NDArray[np.float32]:
    """float32 probabilities that sum to 1, as half-precision softmax outputs do not quite."""
    values = np.asarray(scores, dtype=np.float32)
    total = values.sum(axis=0)
    if values.min() < 0 or total.min() <= 0:
        msg = "Restoring probabilities needs scores that are not negative and not all zero; apply a softmax first."
        raise ValueError(msg)
    return values / total if np.abs(total - 1).max() > _SUM_TOLERANCE else values
