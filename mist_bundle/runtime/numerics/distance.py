"""Signed distance maps of label maps, for losses that weigh errors by their distance from the true surface.

The convention is that of ITK's SignedMaurerDistanceMap: 0 on the object's border voxels, negative inside, positive
outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def signed_distance(mask: NDArray[Any], spacing_mm: Sequence[float] | None = None) -> NDArray[np.float32]:
    """Distance of every voxel from the border of an object.

    Border voxels are object voxels that touch the outside, also diagonally; beyond the edge of the image nothing counts
    as outside.

    Args:
        mask: (X, Y, Z), true or non-zero inside the object.
        spacing_mm: voxel spacing; with it, distances are in millimetres, else in voxels.

    Returns:
        (X, Y, Z) float32. Without an object the image's diagonal everywhere; with nothing but the object, minus that.
    """
    inside = np.asarray(mask) != 0
    spacing = (1.0, 1.0, 1.0) if spacing_mm is None else tuple(map(float, spacing_mm))
    diagonal = image_diagonal(inside.shape, spacing)
    if not inside.any():
        return np.full(inside.shape, diagonal, dtype=np.float32)
    everything = np.ones((3, 3, 3), dtype=bool)
    border = inside & ~ndimage.binary_erosion(inside, structure=everything, border_value=1)
    if not border.any():
        return np.full(inside.shape, -diagonal, dtype=np.float32)
    distance = ndimage.distance_transform_edt(~border, sampling=spacing).astype(np.float32)
    distance[inside] *= -1
    return np.asarray(distance)


def distance_maps(
    label: NDArray[Any],
    num_classes: int,
    normalize: bool = True,
    spacing_mm: Sequence[float] | None = None,
    regions: Sequence[Sequence[int]] | None = None,
) -> NDArray[np.float32]:
    """Signed distance maps of all classes, background included, or of regions.

    Args:
        label: (X, Y, Z) class indices.
        num_classes: including the background.
        normalize: divide the outside by its largest value and the inside by its smallest: both then reach to 1 and -1.
        spacing_mm: voxel spacing; with it, distances are in millimetres, else in voxels.
        regions: class indices of each region; the maps are then of the regions instead of the classes.

    Returns:
        (C, X, Y, Z) float32. An absent class is as far away as can be: the image's diagonal, or 1 when normalised.
    """
    members = [[index] for index in range(num_classes)] if regions is None else regions
    result = np.empty((len(members), *label.shape), dtype=np.float32)
    for index, classes in enumerate(members):
        distance = signed_distance(np.isin(label, classes), spacing_mm)
        result[index] = _normalized(distance) if normalize else distance
    return result


def image_diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of the image's diagonal, in the unit of the spacing."""
    return float(np.linalg.norm(np.asarray(shape) * np.asarray(spacing)))


def _normalized(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    outermost, innermost = float(distance.max()), float(distance.min())
    outside = distance / outermost if outermost > 0 else distance
    inside = distance / -innermost if innermost < 0 else distance
    return np.where(distance > 0, outside, inside)
