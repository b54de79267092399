"""Turned and scaled patches on the CPU, by the map of affine.py.

Several times faster than scipy's `affine_transform` and DALI's `warp_affine` on the CPU, with the same values. What is
scaled only is interpolated axis by axis; what is turned goes through torch's `grid_sample`, which uses a single thread
for a single patch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..numerics.triples import Triple
from .affine import Map
from .patches import PatchDraw


def warp_patch(
    arrays: Mapping[str, NDArray[Any]], draw: PatchDraw, patch_size: Triple
) -> tuple[dict[str, NDArray[Any]], PatchDraw]:
    """Turn and scale the box of a draw into its patch; everything else that was drawn is left to do.

    Args:
        arrays: "image" (C, *draw.extent) float32 and "label" (1, *draw.extent).
        draw: of the patch.
        patch_size: X, Y, Z.

    Returns:
        The arrays of the patch, and the draw without the map; both as they are where it has none.
    """
    result = dict(arrays)
    if draw.box_map is None:
        return result, draw
    result["image"] = warp(result["image"], draw.box_map, patch_size, order=1)
    result["label"] = warp(result["label"], draw.box_map, patch_size, order=0)
    return result, replace(draw, box_map=None, extent=patch_size)


def warp(array: NDArray[Any], box_map: Map, patch_size: Sequence[int], order: int) -> NDArray[Any]:
    """Read a patch (C, *patch_size) out of a box: linearly (order 1) or the nearest voxel (order 0).

    Args:
        array: (C, X, Y, Z), at least 2 voxels long; float32 for order 1, any type for order 0.
        box_map: from voxels of the patch to voxels of the box, all of which lie inside it.
        patch_size: X, Y, Z.
        order: of the interpolation.
    """
    matrix = np.asarray(box_map)
    linear, offset = matrix[:, :3], matrix[:, 3]
    scaled_only = np.count_nonzero(linear - np.diag(np.diag(linear))) == 0
    if order == 0:
        return _nearest(array, matrix, patch_size)
    if scaled_only:
        return _along_axes(array, np.diag(linear), offset, patch_size)
    return _turned(array, matrix, patch_size)


def _along_axes(
    array: NDArray[np.float32], scale: NDArray[np.float64], offset: NDArray[np.float64], patch_size: Sequence[int]
) -> NDArray[np.float32]:
    """Linear interpolation, an axis after the other."""
    result = array
    for axis, length in enumerate(patch_size):
        positions = offset[axis] + scale[axis] * np.arange(length)
        below = np.clip(np.floor(positions).astype(np.intp), 0, array.shape[1 + axis] - 2)
        share = (positions - below).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(3)])
        low, high = np.take(result, below, axis=1 + axis), np.take(result, below + 1, axis=1 + axis)
        high -= low
        high *= share
        high += low
        result = high
    return result


def _turned(array: NDArray[np.float32], matrix: NDArray[np.float64], patch_size: Sequence[int]) -> NDArray[np.float32]:
    """Linear interpolation at any place; torch counts from -1 to 1, and the axes backwards."""
    grid = np.empty((1, *patch_size, 3), np.float32)
    for axis, length in enumerate(array.shape[1:]):
        row = 2 / (length - 1) * matrix[axis]
        row[3] -= 1
        grid[0, ..., 2 - axis] = _positions(row, patch_size)
    volume = torch.from_numpy(np.ascontiguousarray(array))[None]
    patch = torch.nn.functional.grid_sample(volume, torch.from_numpy(grid), align_corners=True)
    return np.asarray(patch[0].numpy())


def _nearest(array: NDArray[Any], matrix: NDArray[np.float64], patch_size: Sequence[int]) -> NDArray[Any]:
    """The voxel whose centre is nearest; halves go up."""
    index = np.zeros(patch_size, np.intp)
    for axis, length in enumerate(array.shape[1:]):
        row = matrix[axis].copy()
        row[3] += 0.5
        nearest = _positions(row, patch_size).astype(np.intp)  # towards 0, which is down: none is negative
        index *= length
        index += np.clip(nearest, 0, length - 1, out=nearest)
    return np.take(array.reshape(len(array), -1), index, axis=1)


def _positions(row: NDArray[np.float64], patch_size: Sequence[int]) -> NDArray[np.float32]:
    """Where each voxel of the patch lies along an axis of the box: (X, Y, Z) float32."""
    x, y, z = (factor * np.arange(length) for factor, length in zip(row[:3], patch_size, strict=True))
    plane = (x[:, None] + y + row[3]).astype(np.float32)
    return np.asarray(plane[..., None] + z.astype(np.float32))
