"""Post-processing by connected components: remove, keep or relabel them by their size.

Every operation takes a label map (X, Y, Z), the labels that it works on (as a single mask, their union), and the
spacing, and returns a new label map. Voxels of other labels are never touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import bounding_box, box_slices, widened

VOXELS, MM3 = "voxels", "mm3"
_DIRECTIONS = {6: 1, 18: 2, 26: 3}  # neighbours of a voxel -> axes along which a neighbour may differ


def remove_small_objects(
    label: NDArray[Any],
    group: Sequence[int],
    spacing_mm: Sequence[float],
    *,
    min_size: float = 64,
    unit: str = VOXELS,
    connectivity: int = 26,
) -> NDArray[Any]:
    """Make components background that are smaller than `min_size` voxels or mm³."""
    return _relabel_small(label, group, spacing_mm, 0, min_size, unit, connectivity)


def replace_small_objects_with_label(
    label: NDArray[Any],
    group: Sequence[int],
    spacing_mm: Sequence[float],
    *,
    replacement: int,
    min_size: float = 64,
    unit: str = VOXELS,
    connectivity: int = 26,
) -> NDArray[Any]:
    """Give components another label that are smaller than `min_size` voxels or mm³ (BraTS: ET to its surroundings)."""
    return _relabel_small(label, group, spacing_mm, replacement, min_size, unit, connectivity)


def keep_top_k_components(
    label: NDArray[Any],
    group: Sequence[int],
    spacing_mm: Sequence[float],
    *,
    k: int = 1,
    detach: int = 0,
    connectivity: int = 26,
) -> NDArray[Any]:
    """Make all but the k largest components background; of components of equal size the first in the array stays.

    Args:
        label: (X, Y, Z).
        group: labels whose union is the mask.
        spacing_mm: not needed here.
        k: how many stay.
        detach: erode the mask by so many voxels first, so that thin bridges do not hold components together, and grow
            the k largest cores back inside the mask. Where the erosion leaves fewer than k cores, the largest
            components that have no core take the remaining places.
        connectivity: 6, 18 or 26 neighbours.
    """
    del spacing_mm
    cut = cut_out(label, group)
    if cut is None:
        return label
    part, mask = cut
    kept = _kept_cores(mask, k, detach, connectivity) if detach else _largest(mask, k, connectivity)[0]
    return replaced(label, part, mask & ~kept, 0)


def _kept_cores(mask: NDArray[np.bool_], k: int, detach: int, connectivity: int) -> NDArray[np.bool_]:
    """The k largest cores of a mask, grown back, filled up with whole components where there are fewer cores."""
    from scipy import ndimage

    cores = ndimage.binary_erosion(mask, iterations=detach)
    kept, num_kept = _largest(cores, k, connectivity)
    numbers, _ = components(mask, connectivity)
    without_core = mask & ~np.isin(numbers, np.unique(numbers[cores]))
    others, _ = _largest(without_core, k - num_kept, connectivity)
    grown: NDArray[np.bool_] = ndimage.binary_dilation(kept, iterations=detach, mask=mask)
    return grown | others


def _largest(mask: NDArray[np.bool_], k: int, connectivity: int) -> tuple[NDArray[np.bool_], int]:
    """The mask of the k largest components, and how many there are of them."""
    numbers, sizes = components(mask, connectivity)
    largest = np.argsort(-sizes, kind="stable")[:k] + 1
    return np.isin(numbers, largest), len(largest)


def components(mask: NDArray[np.bool_], connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The number of each voxel's component (0 outside), and the voxels of component 1, 2, …"""
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(3, _DIRECTIONS[connectivity])
    numbers, count = ndimage.label(mask, structure)
    return numbers, np.bincount(numbers.ravel(), minlength=count + 1)[1:]


def cut_out(
    label: NDArray[Any], group: Sequence[int], margin: int = 0
) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]] | None:
    """The box around a group of labels, `margin` voxels wider inside the image, and its mask; None where empty."""
    mask = np.isin(label, group)
    box = bounding_box(mask)
    if box is None:
        return None
    part = box_slices(widened(box, margin, mask.shape))
    return part, mask[part]


def replaced(
    label: NDArray[Any], part: tuple[slice, slice, slice], where: NDArray[np.bool_], values: Any
) -> NDArray[Any]:
    """A copy of the label map with other values where a mask of its part says so."""
    if not where.any():
        return label
    result = label.astype(np.promote_types(label.dtype, np.min_scalar_type(int(np.max(values)))))
    result[part][where] = values
    return result


def _relabel_small(
    label: NDArray[Any],
    group: Sequence[int],
    spacing_mm: Sequence[float],
    value: int,
    min_size: float,
    unit: str,
    connectivity: int,
) -> NDArray[Any]:
    cut = cut_out(label, group)
    if cut is None:
        return label
    part, mask = cut
    numbers, sizes = components(mask, connectivity)
    small = np.flatnonzero(sizes * voxel_size(spacing_mm, unit) < min_size) + 1
    return replaced(label, part, np.isin(numbers, small), value)


def voxel_size(spacing_mm: Sequence[float], unit: str) -> float:
    """The size of a voxel in this unit."""
    return math.prod(spacing_mm) if unit == MM3 else 1.0
