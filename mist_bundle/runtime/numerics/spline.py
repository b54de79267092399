"""Interpolation along one axis as a matrix, and a volume times three of them.

On an axis-aligned grid, linear and cubic B-spline interpolation are separable: one small matrix an axis gives the same
values as a general resampler, several times faster, because all the work is matrix products. The matrices are nearly
banded, so long axes are cut into blocks of rows and each block reads only the voxels it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_banded

Matrix = NDArray[np.float32]
#: What happens along one axis: nothing, take these indices (1D integers), or a matrix (n_out, n_in).
AxisOperator = NDArray[Any] | None

# A voxel's influence on a cubic B-spline falls to 0.27 of itself with each voxel of distance; float32 cannot see less.
_NEGLIGIBLE_WEIGHT = 1e-9
# Coordinates this close to half a voxel are ties, whatever float64 made of them.
_TIE_TOLERANCE = 1e-9
# Rows handled at a time: large enough for an efficient product, small enough to skip most of the zeros.
_BLOCK_ROWS = 64


def nearest_indices(n_in: int, coordinates: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the voxel nearest to each coordinate; halves go up, as in ITK."""
    nearest = np.floor(np.asarray(coordinates) + 0.5 + _TIE_TOLERANCE)
    return np.clip(nearest, 0, n_in - 1).astype(np.intp)


def linear_matrix(n_in: int, coordinates: NDArray[np.float64]) -> Matrix:
    """(len(coordinates), n_in) weights of linear interpolation; coordinates beyond the ends give the edge voxel."""
    position = np.clip(np.asarray(coordinates, dtype=np.float64), 0, n_in - 1)
    lower = np.minimum(np.floor(position).astype(np.intp), max(n_in - 2, 0))
    fraction = position - lower
    matrix = np.zeros((len(position), n_in))
    rows = np.arange(len(position))
    matrix[rows, lower] = 1 - fraction
    matrix[rows, np.minimum(lower + 1, n_in - 1)] += fraction
    return matrix.astype(np.float32)


def cubic_matrix(n_in: int, coordinates: NDArray[np.float64]) -> Matrix:
    """(len(coordinates), n_in) weights of cubic B-spline interpolation, prefilter included.

    The spline goes through the voxels and continues as their mirror image beyond the outermost voxel centres, as does
    `sitkBSpline` and `scipy.ndimage` with mode "mirror". Coordinates beyond the ends give the edge voxel.
    """
    position = np.clip(np.asarray(coordinates, dtype=np.float64), 0, n_in - 1)
    if n_in == 1:
        return np.ones((len(position), 1), dtype=np.float32)
    lower = np.floor(position)
    fraction = position - lower
    weights = (
        (1 - fraction) ** 3 / 6,
        (4 - 6 * fraction**2 + 3 * fraction**3) / 6,
        (1 + 3 * fraction + 3 * fraction**2 - 3 * fraction**3) / 6,
        fraction**3 / 6,
    )
    basis = np.zeros((len(position), n_in))
    rows = np.arange(len(position))
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        np.add.at(basis, (rows, _mirror(lower.astype(np.intp) + offset, n_in)), weight)
    matrix = _times_prefilter(basis)
    matrix[np.abs(matrix) < _NEGLIGIBLE_WEIGHT] = 0
    return matrix.astype(np.float32)


def _mirror(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Reflect indices at the centres of the first and last voxel."""
    period = 2 * (length - 1)
    folded = np.mod(index, period)
    return np.asarray(np.minimum(folded, period - folded))


def _times_prefilter(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """basis @ inverse(B), where B takes B-spline coefficients to voxel values: (1 4 1)/6 with mirrored ends."""
    length = basis.shape[1]
    diagonal = np.full(length, 4 / 6)
    above = np.full(length - 1, 1 / 6)  # B[i, i + 1]
    below = np.full(length - 1, 1 / 6)  # B[i + 1, i]
    above[0] = below[-1] = 2 / 6  # the mirror counts one neighbour twice
    # scipy's band storage, of the transpose of B.
    bands = np.zeros((3, length))
    bands[0, 1:], bands[1], bands[2, :-1] = below, diagonal, above
    return np.asarray(solve_banded((1, 1), bands, basis.T)).T


def restrict(
    operators: Sequence[AxisOperator], box: Sequence[slice], shape: Sequence[int]
) -> tuple[tuple[slice, ...], list[AxisOperator]] | None:
    """The part of a separable operation that reads from a box.

    Args:
        operators: one an axis, as in `apply_separable`; each must read in order, forwards or backwards.
        box: the box in the source, one slice an axis.
        shape: (X, Y, Z) of the source.

    Returns:
        (where, inside): the part of the result that the box reaches, and the operators that compute it from the box
        alone, taking everything outside the box as 0. None where the box reaches nothing.
    """
    where: list[slice] = []
    inside: list[AxisOperator] = []
    for operator, part, length in zip(operators, box, shape, strict=True):
        start, stop, _ = part.indices(length)
        if operator is None:
            where.append(slice(start, stop))
            inside.append(None)
            continue
        if operator.ndim == 1:
            rows = np.flatnonzero((operator >= start) & (operator < stop))
        else:
            rows = np.flatnonzero(operator[:, start:stop].any(axis=1))
        if rows.size == 0:
            return None
        reached = slice(int(rows[0]), int(rows[-1]) + 1)
        where.append(reached)
        inside.append(operator[reached] - start if operator.ndim == 1 else operator[reached, start:stop])
    return tuple(where), inside


def apply_separable(array: NDArray[Any], operators: Sequence[AxisOperator]) -> NDArray[Any]:
    """Apply one operator along each axis of a volume.

    Args:
        array: (X, Y, Z) of any memory layout, and float32 where any operator is a matrix.
        operators: for each axis None (leave), 1D indices (take), or a float32 matrix (n_out, n_in).

    Returns:
        (X', Y', Z'); the array itself where nothing is to do.
    """
    # Run along memory: the operators commute, so the axes may be handled in the order in which they are stored.
    storage = sorted(range(3), key=lambda axis: -abs(array.strides[axis]))
    volume = array.transpose(storage)
    # The axis that shrinks most goes first, the one that grows most last: fewest voxels in between.
    for axis in sorted(range(3), key=lambda k: _growth(operators[storage[k]], volume.shape[k])):
        volume = _apply_along(volume, operators[storage[axis]], axis)
    return volume.transpose(np.argsort(storage))


def _growth(operator: AxisOperator, length: int) -> float:
    return 1.0 if operator is None else len(operator) / max(length, 1)


def _apply_along(volume: NDArray[Any], operator: AxisOperator, axis: int) -> NDArray[Any]:
    if operator is None:
        return volume
    if operator.ndim == 1:
        return np.take(volume, operator, axis=axis)
    shape = list(volume.shape)
    shape[axis] = len(operator)
    volume = np.ascontiguousarray(volume)
    result = np.empty(shape, dtype=volume.dtype)
    before, after = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    source = volume.reshape(before, volume.shape[axis], after)
    target = result.reshape(before, len(operator), after)
    for rows, columns in _blocks(operator):
        weights = operator[rows, columns]
        if after == 1:
            np.matmul(source[:, columns, 0], weights.T, out=target[:, rows, 0])
        else:
            np.matmul(weights, source[:, columns], out=target[:, rows])
    return result


def _blocks(matrix: Matrix) -> list[tuple[slice, slice]]:
    """Blocks of rows with the range of columns in which they are not zero."""
    blocks = []
    for start in range(0, len(matrix), _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, len(matrix)))
        used = np.flatnonzero(matrix[rows].any(axis=0))
        blocks.append((rows, slice(int(used[0]), int(used[-1]) + 1)))
    return blocks
