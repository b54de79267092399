"""Interpolation along an axis as a matrix, and a volume times three of them.

On an axis-aligned grid, linear and cubic B-spline interpolation are separable: a small matrix for each axis gives the
values of a general resampler several times faster, because all the work is matrix products. The matrices are nearly
banded, so long axes are cut into blocks of rows and each block reads only the voxels it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
#: What happens along an axis: nothing (None), indices to take (1D integers), or a matrix (n_out, n_in).
AxisOperator = NDArray[Any] | None

# A voxel's influence on a cubic B-spline falls to 0.27 of itself with each voxel of distance; float32 cannot see less.
_NEGLIGIBLE_WEIGHT = 1e-9
# Voxels by which a spline is continued where its edge voxels repeat; scipy continues it as far.
_EDGE_VOXELS = 12
# Coordinates this close to half a voxel are ties, despite float64 rounding.
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


def cubic_matrix_between_edges(n_in: int, coordinates: NDArray[np.float64]) -> Matrix:
    """The same for a spline that continues with the edge voxels instead of a mirror image, also beyond the ends.

    These are the values of `scipy.ndimage.zoom` with mode "nearest", and of scikit-image's `resize` with mode "edge".
    """
    wide = cubic_matrix(n_in + 2 * _EDGE_VOXELS, np.asarray(coordinates, dtype=np.float64) + _EDGE_VOXELS)
    matrix = wide[:, _EDGE_VOXELS:-_EDGE_VOXELS].copy()
    matrix[:, 0] += wide[:, :_EDGE_VOXELS].sum(axis=1)
    matrix[:, -1] += wide[:, -_EDGE_VOXELS:].sum(axis=1)
    return matrix


def _mirror(index: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Reflect indices at the centres of the first and last voxel."""
    period = 2 * (length - 1)
    folded = np.mod(index, period)
    return np.asarray(np.minimum(folded, period - folded))


def _times_prefilter(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Basis @ inverse(B), where B takes B-spline coefficients to voxel values: (1 4 1)/6 with mirrored ends."""
    from scipy.linalg import solve_banded  # takes longer to import than a case at the right spacing to prepare

    length = basis.shape[1]
    diagonal = np.full(length, 4 / 6)
    above = np.full(length - 1, 1 / 6)  # B[i, i + 1]
    below = np.full(length - 1, 1 / 6)  # B[i + 1, i]
    above[0] = below[-1] = 2 / 6  # at the mirror a neighbour counts twice
    # scipy's band storage, of the transpose of B.
    bands = np.zeros((3, length))
    bands[0, 1:], bands[1], bands[2, :-1] = below, diagonal, above
    return np.asarray(solve_banded((1, 1), bands, basis.T)).T


def restrict(
    operators: Sequence[AxisOperator], box: Sequence[slice], shape: Sequence[int]
) -> tuple[tuple[slice, ...], list[AxisOperator]] | None:
    """The part of a separable operation that reads from a box.

    Args:
        operators: for each axis, as in `apply_separable`; each must read in order, forwards or backwards.
        box: the box in the source, a slice for each axis.
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
    """Apply an operator along each axis of a volume.

    Args:
        array: (X, Y, Z) of any memory layout, and float32 where any operator is a matrix.
        operators: for each axis None (leave), 1D indices (take), or a float32 matrix (n_out, n_in).

    Returns:
        (X', Y', Z'); the array itself where nothing is to do.
    """
    # Run along memory: the operators commute, so the axes may be handled in the order in which they are stored.
    axes = sorted(range(3), key=lambda axis: -abs(array.strides[axis]))
    volume = array.transpose(axes)
    matrices, enlarging = {}, {}
    for axis, operator in enumerate(operators):
        if operator is None:
            continue
        if operator.ndim == 2:
            matrices[axis] = operator
        elif len(operator) > array.shape[axis]:
            enlarging[axis] = operator  # comes after the products, which are then smaller
        else:
            volume = np.take(volume, operator, axis=axes.index(axis))
    volume, axes = _multiply(volume, axes, matrices)
    for axis, indices in enlarging.items():
        volume = np.take(volume, indices, axis=axes.index(axis))
    return volume.transpose(np.argsort(axes))


def _multiply(volume: NDArray[Any], axes: list[int], matrices: Mapping[int, Matrix]) -> tuple[NDArray[Any], list[int]]:
    """Multiply each matrix onto its axis; `axes` names the volume's axes, the result's axes come in another order.

    Every step is a few large products over the first or last stored axis. A product for each slice would do too, but
    many small calls starve when BLAS threads meet a busy machine (measured: 100 times slower).
    """
    remaining = dict(matrices)
    while remaining:
        outer = [axis for axis in (axes[0], axes[2]) if axis in remaining]
        if not outer:
            volume, axes = volume.transpose(1, 0, 2), [axes[1], axes[0], axes[2]]
            continue
        # What shrinks the volume most goes first. Its axis changes ends where that brings the middle axis to an end.
        axis = min(outer, key=lambda k: remaining[k].shape[0] / remaining[k].shape[1])
        matrix, middle_next = remaining.pop(axis), axes[1] in remaining
        at_front = axis == axes[0]
        volume = _product(np.ascontiguousarray(volume), matrix, at_front, to_front=at_front != middle_next)
        if middle_next:
            axes = [*axes[1:], axes[0]] if at_front else [axes[2], *axes[:2]]
    return volume, axes


def _product(volume: NDArray[Any], matrix: Matrix, at_front: bool, to_front: bool) -> NDArray[Any]:
    """Multiply a matrix onto the first or the last axis of a contiguous volume; the new axis goes first or last."""
    shape = volume.shape
    kept = shape[1:] if at_front else shape[:-1]
    source = volume.reshape(shape[0], -1) if at_front else volume.reshape(-1, shape[2]).T
    result = np.empty((len(matrix), *kept) if to_front else (*kept, len(matrix)), dtype=volume.dtype)
    target = result.reshape(len(matrix), -1) if to_front else result.reshape(-1, len(matrix)).T
    for rows, columns in _blocks(matrix):
        if to_front:
            np.matmul(matrix[rows, columns], source[columns], out=target[rows])
        else:
            np.matmul(source[columns].T, matrix[rows, columns].T, out=target[rows].T)
    return result


def _blocks(matrix: Matrix) -> list[tuple[slice, slice]]:
    """Blocks of rows with the range of columns in which they are not zero."""
    blocks = []
    for start in range(0, len(matrix), _BLOCK_ROWS):
        rows = slice(start, min(start + _BLOCK_ROWS, len(matrix)))
        used = np.flatnonzero(matrix[rows].any(axis=0))
        blocks.append((rows, slice(int(used[0]), int(used[-1]) + 1)))
    return blocks
