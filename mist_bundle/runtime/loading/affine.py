"""Rotation and scaling of a patch as a single affine map, and the box of the volume that the map needs.

Pure numpy; warp.py applies the maps. Positions are voxel indices (X, Y, Z); a map takes an index of the patch to an
index of the volume or of the box read from it. Rotations are rigid in millimetres, whatever the spacing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..numerics.triples import Triple, triple

Matrix = NDArray[np.float64]
Map = tuple[tuple[float, float, float, float], ...]  # three rows [A | offset]

MARGIN = 1  # voxels read beyond the corners, so that rounding never makes the interpolation look outside the box


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a volume, and the map from the patch into it; None where the patch is the (enlarged) box itself."""

    start: Triple
    extent: Triple
    map: Map | None


def rotation(degrees: Sequence[float]) -> Matrix:
    """The rotation by three angles: about X, then about Y, then about Z, each counter-clockwise seen from its tip."""
    result = np.eye(3)
    for axis, angle in enumerate(degrees):
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = cosine
        turn[first, second], turn[second, first] = -sine, sine
        result = turn @ result
    return result


def linear_map(
    degrees: Sequence[float], scale: Sequence[float], flips: Sequence[bool], spacing_mm: Sequence[float]
) -> Matrix:
    """From offsets within the patch to offsets in the volume, both in voxels and from the centre.

    Args:
        degrees: rotation about X, Y, Z.
        scale: size of what is read over the size of the patch, per axis of the patch.
        flips: mirrored axes of the patch.
        spacing_mm: of the volume.
    """
    spacing = np.asarray(spacing_mm, np.float64)
    mirrored = np.where(flips, -1.0, 1.0) * np.asarray(scale, np.float64)
    result: Matrix = rotation(degrees) * spacing / spacing[:, None] * mirrored
    return result


def place(linear: Matrix, patch_size: Triple, shape: Triple, anchor: Triple | None, u_place: Sequence[float]) -> Box:
    """Lay the patch into the volume.

    The box around the patch stays within the volume where it fits; on an axis where it does not, it lies in the middle.

    Args:
        linear: from `linear_map`.
        patch_size: X, Y, Z.
        shape: of the volume.
        anchor: a voxel that the patch shall hold, or None.
        u_place: three numbers in [0, 1): where the anchor lies in the patch, or the patch in the volume.
    """
    size = np.asarray(patch_size, np.float64)
    middle = (size - 1) / 2
    reach = np.abs(linear) @ middle
    low, high = reach, np.asarray(shape) - 1 - reach
    u = np.asarray(u_place)
    image_centre = (np.asarray(shape) - 1) / 2
    if anchor is None:
        centre = np.where(high < low, image_centre, low + u * (high - low))
    else:
        drawn = np.asarray(anchor) - linear @ (np.floor(u * size) - middle)
        centre = np.where(high < low, image_centre, np.clip(drawn, low, np.maximum(low, high)))
        if not _holds(linear, patch_size, centre, anchor):
            centre = drawn  # holding the voxel matters more than staying within the volume
    start = np.floor(centre - reach).astype(int) - MARGIN
    stop = np.ceil(centre + reach).astype(int) + MARGIN + 1
    offset = centre - start - linear @ middle
    rows = np.column_stack([linear, offset]).tolist()
    return Box(triple(start), triple(stop - start), tuple(map(tuple, rows)))


def _holds(linear: Matrix, patch_size: Triple, centre: Matrix, voxel: Triple) -> bool:
    middle = (np.asarray(patch_size) - 1) / 2
    place_in_patch = np.linalg.solve(linear, np.asarray(voxel) - centre) + middle
    return bool(np.all(place_in_patch >= 0) and np.all(place_in_patch <= np.asarray(patch_size) - 1))


def dali_matrix(box_map: Map) -> NDArray[np.float32]:
    """The same map for DALI: axes in the order Z, Y, X, and positions counted from the voxels' corners."""
    matrix = np.asarray(box_map)
    linear, offset = matrix[:, :3], matrix[:, 3]
    from_corner = offset + 0.5 - linear @ np.full(3, 0.5)
    reordered = np.column_stack([linear, from_corner])[::-1, [2, 1, 0, 3]]
    return np.ascontiguousarray(reordered, np.float32)  # DALI takes no strides
