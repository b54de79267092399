"""The geometry of voxel grids: spacing, orientation, and what both become when a volume is resampled.

Arrays are (C, X, Y, Z) or (X, Y, Z); affines are 4x4 float64 from voxel index to RAS+ millimetres, as in nibabel.
Nothing here touches a voxel value, so planning needs the headers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
Shape = tuple[int, int, int]
Orientation = tuple[tuple[int, int, int], tuple[bool, bool, bool]]

# World axis and direction (in RAS+ millimetres) that a letter of an orientation code names.
_LETTERS = {"L": (0, -1), "R": (0, 1), "P": (1, -1), "A": (1, 1), "I": (2, -1), "S": (2, 1)}

# Two spacings nearer to each other than this are the same: float32 headers carry about seven digits.
SAME_SPACING_RELATIVE = 1e-6


def as_affine(affine: Any) -> Affine:
    """Copy of a 4x4 matrix as float64.

    Raises:
        ValueError: it is not 4x4, not finite, or has no inverse.
    """
    result = np.array(affine, dtype=np.float64)
    if result.shape != (4, 4):
        msg = f"An affine must be a 4x4 matrix, but its shape is {result.shape}."
        raise ValueError(msg)
    if not np.isfinite(result).all() or np.linalg.det(result[:3, :3]) == 0:
        msg = f"This affine does not describe a voxel grid (it has no inverse):\n{result}"
        raise ValueError(msg)
    return result


def as_shape(shape: Sequence[int]) -> Shape:
    """Exactly three axis lengths as plain ints."""
    x, y, z = shape
    return int(x), int(y), int(z)


def spacing_of(affine: Any) -> NDArray[np.float64]:
    """Distance between neighbouring voxel centres along each array axis, (3,) in millimetres."""
    return np.asarray(np.linalg.norm(as_affine(affine)[:3, :3], axis=0))


def same_spacing(spacing_mm: float, target_spacing_mm: float) -> bool:
    """Whether an axis needs no resampling."""
    return abs(spacing_mm - target_spacing_mm) <= SAME_SPACING_RELATIVE * abs(target_spacing_mm)


def axis_letters(affine: Any) -> str:
    """The anatomical direction that each array axis points to, such as "LPS" (nibabel's axis codes).

    Oblique axes are named after the nearest direction by nibabel's rule: take the shear out (polar decomposition) and
    give each world axis to the array axis that follows it most.
    """
    direction = as_affine(affine)[:3, :3]
    direction = direction / np.linalg.norm(direction, axis=0)
    left, _, right = np.linalg.svd(direction)
    rotation = left @ right
    letters = ["", "", ""]
    # The clearest axis chooses first, so that no two array axes can claim the same direction.
    for axis in np.argsort(np.min(-(rotation**2), axis=0), kind="stable"):
        world = int(np.argmax(np.abs(rotation[:, axis])))
        letters[axis] = ("LR", "PA", "IS")[world][int(rotation[world, axis] > 0)]
        rotation[world, :] = 0
    return "".join(letters)


def orientation_to(affine: Any, shape: Sequence[int], axcodes: str = "LPS") -> Orientation:
    """How to bring a grid into another orientation without touching a value.

    Args:
        affine: of the grid as it is.
        shape: (X, Y, Z) of the grid as it is; only checked to have three axes.
        axcodes: letters that the axes shall point to.

    Returns:
        (permutation, flips): axis k of the result is axis permutation[k] of the source, reversed where flips[k].
    """
    as_shape(shape)
    source_axis = {}  # world axis -> (array axis that follows it, direction)
    for axis, letter in enumerate(axis_letters(affine)):
        world, sign = _LETTERS[letter]
        source_axis[world] = axis, sign
    permutation, flips = [], []
    for letter in axcodes:
        world, sign = _LETTERS.get(letter, (-1, 0))
        axis, source_sign = source_axis.pop(world, (-1, 0))  # -1 for a letter that is unknown or repeats an axis
        permutation.append(axis)
        flips.append(sign != source_sign)
    if sorted(permutation) != [0, 1, 2]:
        msg = f"An orientation needs a letter each of L/R, P/A and I/S, such as 'LPS', but got {axcodes!r}."
        raise ValueError(msg)
    return as_shape(permutation), (flips[0], flips[1], flips[2])


def reorient(array: NDArray[Any], affine: Any, axcodes: str = "LPS") -> tuple[NDArray[Any], Affine]:
    """Permute and flip a (C, X, Y, Z) array so that its axes point to `axcodes`.

    Returns:
        A view of the array (no copy; strides may be negative) and its affine.
    """
    return turn(array, affine, *orientation_to(affine, array.shape[1:], axcodes))


def turn(
    array: NDArray[Any], affine: Any, permutation: Sequence[int], flips: Sequence[bool]
) -> tuple[NDArray[Any], Affine]:
    """Permute and flip the axes of a (C, X, Y, Z) array.

    Args:
        array: (C, X, Y, Z).
        affine: of the array.
        permutation: axis k of the result is axis permutation[k] of the array.
        flips: whether axis k of the result is reversed.

    Returns:
        A view of the array (no copy; strides may be negative) and its affine.
    """
    to_source = np.zeros((4, 4))
    to_source[3, 3] = 1
    steps = [slice(None)]
    for axis, (from_axis, flip) in enumerate(zip(permutation, flips, strict=True)):
        to_source[from_axis, axis] = -1 if flip else 1
        to_source[from_axis, 3] = array.shape[1 + from_axis] - 1 if flip else 0
        reverses = flip and array.shape[1 + from_axis] > 1  # torch takes no negative stride, not even along a voxel
        steps.append(slice(None, None, -1 if reverses else 1))
    return permute_axes(array, permutation)[tuple(steps)], as_affine(affine) @ to_source


def permute_axes(array: NDArray[Any], permutation: Sequence[int]) -> NDArray[Any]:
    """A view of a (C, X, Y, Z) array whose spatial axis k is spatial axis permutation[k] of the array."""
    x, y, z = permutation
    return array.transpose(0, 1 + x, 1 + y, 1 + z)


def resampled_length(length: int, spacing_mm: float, target_spacing_mm: float) -> int:
    """Number of voxels an axis has after resampling: at least 1, halves rounded up."""
    if same_spacing(spacing_mm, target_spacing_mm):
        return int(length)
    # The small constant keeps exact halves up although float32 headers make 2.5 out as 2.4999999.
    return max(1, math.floor(length * spacing_mm / target_spacing_mm + 0.5 + 1e-6))


def resampled_shape(shape: Sequence[int], spacing_mm: Sequence[float], target_spacing_mm: Sequence[float]) -> Shape:
    """(X, Y, Z) after resampling to another spacing."""
    return as_shape(list(map(resampled_length, as_shape(shape), spacing_mm, target_spacing_mm)))


def axis_map(length: int, new_length: int, spacing_mm: float, target_spacing_mm: float) -> tuple[float, float]:
    """(step, start) so that voxel j of the resampled axis lies at index start + step * j of the source.

    The centre of the field of view stays where it is, so an index can lie outside the source by up to half a new voxel.
    """
    if same_spacing(spacing_mm, target_spacing_mm) and length == new_length:
        return 1.0, 0.0
    step = target_spacing_mm / spacing_mm
    return step, (length - 1) / 2 - step * (new_length - 1) / 2


def axis_coordinates(length: int, new_length: int, spacing_mm: float, target_spacing_mm: float) -> NDArray[np.float64]:
    """Source index of every voxel of a resampled axis, clamped to the source: beyond the ends the edge voxel counts."""
    step, start = axis_map(length, new_length, spacing_mm, target_spacing_mm)
    return np.clip(start + step * np.arange(new_length), 0, length - 1)


def resampled_affine(
    affine: Any, shape: Sequence[int], new_shape: Sequence[int], target_spacing_mm: Sequence[float]
) -> Affine:
    """Affine of a grid after resampling, with direction and centre of the field of view kept.

    Args:
        affine: of the source grid.
        shape: (X, Y, Z) of the source grid.
        new_shape: (X, Y, Z) after resampling, see `resampled_shape`.
        target_spacing_mm: spacing after resampling.
    """
    source = as_affine(affine)
    old_to_new = np.eye(4)
    spacing = spacing_of(source)
    for axis in range(3):
        lengths = int(shape[axis]), int(new_shape[axis])
        step, start = axis_map(*lengths, float(spacing[axis]), float(target_spacing_mm[axis]))
        old_to_new[axis, axis], old_to_new[axis, 3] = step, start
    return source @ old_to_new


def cropped_affine(affine: Any, start: Sequence[int]) -> Affine:
    """Affine of the part of a grid that begins at voxel `start`."""
    shift = np.eye(4)
    shift[:3, 3] = start
    return as_affine(affine) @ shift


def index_map(affine_from: Any, affine_to: Any) -> Affine:
    """4x4 matrix that takes a voxel index of the grid `affine_from` to the index of the same point in `affine_to`."""
    return np.asarray(np.linalg.solve(as_affine(affine_to), as_affine(affine_from)))


def is_signed_permutation(matrix: Any, shape: Sequence[int], tolerance_voxels: float = 0.05) -> bool:
    """Whether an index map only permutes, flips, scales and shifts axes.

    Args:
        matrix: 4x4 index map.
        shape: (X, Y, Z) of the grid that the map starts from: a tilt matters by what it does at the far end.
        tolerance_voxels: how far the tilt may carry the last voxel of an axis off its line.
    """
    linear = np.abs(np.asarray(matrix, dtype=np.float64)[:3, :3])
    rows = linear.argmax(axis=0)
    if sorted(rows.tolist()) != [0, 1, 2]:
        return False
    drift = linear * np.maximum(np.asarray(shape) - 1, 1)
    drift[rows, np.arange(3)] = 0
    return bool(drift.max() <= tolerance_voxels)


def largest_distance(affine: NDArray[Any], other: NDArray[Any], shape: Sequence[int]) -> float:
    """Farthest in mm that any voxel of an (X, Y, Z) array lies from itself under two affines.

    Two linear maps differ most in a corner.
    """
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.asarray(shape) - 1)
    difference = np.asarray(affine) - np.asarray(other)
    offsets = corners @ difference[:3, :3].T + difference[:3, 3]
    return float(np.linalg.norm(offsets, axis=1).max())
