"""Post-processing by shape: opening, closing and filling holes.

The same rules as in components.py; what is added is added to the background alone, so no structure is ever erased or
overwritten (MIST's filling of holes erases structures that another label encloses).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .components import VOXELS, components, cut_out, replaced, voxel_size


def morphological_opening(
    label: NDArray[Any], group: Sequence[int], spacing_mm: Sequence[float], *, iterations: int = 1
) -> NDArray[Any]:
    """Make background what an erosion and a dilation by `iterations` voxels (along the axes) do not bring back."""
    del spacing_mm
    from scipy import ndimage

    cut = cut_out(label, group)
    if cut is None:
        return label
    part, mask = cut
    return replaced(label, part, mask & ~ndimage.binary_opening(mask, iterations=iterations), 0)


def morphological_closing(
    label: NDArray[Any], group: Sequence[int], spacing_mm: Sequence[float], *, iterations: int = 1
) -> NDArray[Any]:
    """Fill the background's gaps that a dilation and an erosion by `iterations` voxels (along the axes) close.

    Each voxel takes the nearest label of the group.
    """
    from scipy import ndimage

    cut = cut_out(label, group, margin=iterations)
    if cut is None:
        return label
    part, mask = cut
    # a rim of background: at the border of the image an erosion would take away what was there before
    inner = (slice(iterations, -iterations),) * 3
    closed = ndimage.binary_closing(np.pad(mask, iterations), iterations=iterations)[inner]
    added = closed & (label[part] == 0)
    return replaced(label, part, added, _nearest_labels(label[part], mask, spacing_mm)[added]) if added.any() else label


def fill_holes_with_label(
    label: NDArray[Any],
    group: Sequence[int],
    spacing_mm: Sequence[float],
    *,
    fill_label: int | None = None,
    max_size: float | None = None,
    unit: str = VOXELS,
) -> NDArray[Any]:
    """Fill background that the group encloses; structures inside it stay as they are.

    Args:
        label: (X, Y, Z).
        group: labels whose union is the mask.
        spacing_mm: size of a voxel along each axis.
        fill_label: what the holes become; None takes the nearest label of the group.
        max_size: larger holes stay; None fills all.
        unit: of max_size, voxels or mm3.
    """
    from scipy import ndimage

    cut = cut_out(label, group)
    if cut is None:
        return label
    part, mask = cut
    holes = ndimage.binary_fill_holes(mask) & ~mask
    if max_size is not None:
        numbers, sizes = components(holes, 6)
        holes = np.isin(numbers, np.flatnonzero(sizes * voxel_size(spacing_mm, unit) <= max_size) + 1)
    holes &= label[part] == 0
    if not holes.any():
        return label
    values = _nearest_labels(label[part], mask, spacing_mm)[holes] if fill_label is None else fill_label
    return replaced(label, part, holes, values)


def _nearest_labels(label: NDArray[Any], mask: NDArray[np.bool_], spacing_mm: Sequence[float]) -> NDArray[Any]:
    """For every voxel the label of the nearest voxel of the mask."""
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(~mask, sampling=spacing_mm, return_distances=False, return_indices=True)
    values: NDArray[Any] = label[tuple(nearest)]
    return values
