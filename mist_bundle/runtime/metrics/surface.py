"""Distances between the surfaces of two masks, computed once and shared by all metrics that need them.

Both surfaces are taken at voxel corners and weighted by area (see surfels.py), as in google-deepmind/surface-distance
and MIST: a metric of a finely and of a coarsely sampled surface then means the same. Both masks must have voxels; what
an empty one is worth is decided in case.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .surfels import EMPTY_CODE, FULL_CODE, neighbour_codes, surface_areas

_ROBUST_FRACTION = 0.95
_DEFAULT_TOLERANCE_MM = 1.0  # MIST's
# Spacings read from float32 headers are off by up to 1e-7: a surface that lies exactly at the tolerance still counts.
_ROUNDING = 1e-6
# How many neighbours are looked up before a search tree is asked. Predictions lie mostly within a few voxels of the
# reference; on the tumours of BraTS this is five times faster than the tree alone and twenty times than a distance map.
_NUM_NEIGHBOURS = 250


class SurfaceDistances:
    """From each surface element of one mask to the nearest of the other, in both directions.

    Args:
        prediction: (X, Y, Z) mask, not empty.
        reference: (X, Y, Z) mask, not empty.
        spacing_mm: size of a voxel along each axis.

    Raises:
        ValueError: a mask is empty, or the shapes differ.
    """

    def __init__(
        self, prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: Sequence[float]
    ) -> None:
        if prediction.shape != reference.shape:
            raise ValueError(f"The masks have the shapes {prediction.shape} and {reference.shape}; expected the same.")
        if not prediction.any() or not reference.any():
            raise ValueError("An empty mask has no surface, and so no distance to it.")
        areas_of_code = surface_areas(spacing_mm)
        surfaces = [_Surface(mask, areas_of_code, spacing_mm) for mask in (prediction, reference)]
        self.prediction = SortedDistances(surfaces[0].distances_to(surfaces[1]), surfaces[0].areas_mm2)
        self.reference = SortedDistances(surfaces[1].distances_to(surfaces[0]), surfaces[1].areas_mm2)


class SortedDistances:
    """The distances of one surface's elements to the other surface, ascending, with the elements' areas.

    Attributes:
        distances_mm: (n,) ascending.
        areas_mm2: (n,) in the same order.
    """

    def __init__(self, distances_mm: NDArray[np.float64], areas_mm2: NDArray[np.float64]) -> None:
        order = np.argsort(distances_mm)
        self.distances_mm = distances_mm[order]
        self.areas_mm2 = areas_mm2[order]

    @cached_property
    def _area_up_to_mm2(self) -> NDArray[np.float64]:
        return np.cumsum(self.areas_mm2)

    @property
    def area_mm2(self) -> float:
        """Area of the whole surface."""
        return float(self._area_up_to_mm2[-1])

    @property
    def weighted_sum(self) -> float:
        """Sum of distance times area, in mm³."""
        return float(self.distances_mm @ self.areas_mm2)

    def quantile_mm(self, fraction: float) -> float:
        """The smallest distance within which at least this fraction of the surface's area lies."""
        wanted = (
            fraction * self.area_mm2 * (1 - 1e-9)
        )  # an exact tie counts as reached, whatever the rounding of the sum
        return float(self.distances_mm[int(np.searchsorted(self._area_up_to_mm2, wanted))])

    def area_within_mm2(self, tolerance_mm: float) -> float:
        """Area of the part of the surface that is at most this far away."""
        count = int(np.searchsorted(self.distances_mm, tolerance_mm * (1 + _ROUNDING), side="right"))
        return float(self._area_up_to_mm2[count - 1]) if count else 0.0


def hd95(distances: SurfaceDistances) -> float:
    """95th percentile of the Hausdorff distance in mm: the larger of both directions, by area."""
    return max(side.quantile_mm(_ROBUST_FRACTION) for side in (distances.prediction, distances.reference))


def hausdorff(distances: SurfaceDistances) -> float:
    """Hausdorff distance in mm: how far the furthest point of either surface is from the other surface."""
    return max(float(side.distances_mm[-1]) for side in (distances.prediction, distances.reference))


def surface_dice(distances: SurfaceDistances, tolerance_mm: float = _DEFAULT_TOLERANCE_MM) -> float:
    """The part of both surfaces, by area, that lies within the tolerance of the other one: 0 to 1."""
    sides = (distances.prediction, distances.reference)
    return sum(side.area_within_mm2(tolerance_mm) for side in sides) / sum(side.area_mm2 for side in sides)


def normalized_surface_distance(distances: SurfaceDistances, tolerance_mm: float = _DEFAULT_TOLERANCE_MM) -> float:
    """The Medical Segmentation Decathlon's name for `surface_dice`; its tolerance can be set apart from it."""
    return surface_dice(distances, tolerance_mm)


def average_surface_distance(distances: SurfaceDistances) -> float:
    """Mean distance in mm of both surfaces to the other one, by area."""
    sides = (distances.prediction, distances.reference)
    return sum(side.weighted_sum for side in sides) / sum(side.area_mm2 for side in sides)


class _Surface:
    """The surface elements of one mask."""

    def __init__(
        self, mask: NDArray[np.bool_], areas_of_code: NDArray[np.float64], spacing_mm: Sequence[float]
    ) -> None:
        codes = neighbour_codes(mask)
        self.spacing_mm = np.asarray(spacing_mm, dtype=np.float64)
        self.present = (codes != EMPTY_CODE) & (codes != FULL_CODE)
        self.indices = np.argwhere(self.present)
        self.areas_mm2 = areas_of_code[codes[self.present]]

    def distances_to(self, other: _Surface) -> NDArray[np.float64]:
        """The exact distance in mm from each element to the nearest one of the other surface."""
        offsets, offset_distances_mm = _near_offsets(self.spacing_mm)
        margin = np.abs(offsets).max(axis=0)
        padded = np.pad(other.present, [(width, width) for width in margin])
        strides = np.array((padded.shape[1] * padded.shape[2], padded.shape[2], 1))
        flat, places = padded.ravel(), (self.indices + margin) @ strides
        distances_mm = np.full(len(places), np.inf)
        left = np.arange(len(places))
        for step, distance_mm in zip(offsets @ strides, offset_distances_mm, strict=True):
            hit = flat[places[left] + step]
            distances_mm[left[hit]] = distance_mm
            left = left[~hit]
            if left.size == 0:
                return distances_mm
        distances_mm[left] = _tree_distances(self.indices[left], other.indices, self.spacing_mm)
        return distances_mm


def _tree_distances(
    points: NDArray[np.intp], targets: NDArray[np.intp], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.spatial import cKDTree

    # the tree's two time-saving switches: no search for medians, no shrinking of boxes; the answers are the same
    tree = cKDTree(targets * spacing_mm, leafsize=16, balanced_tree=False, compact_nodes=False)
    distances_mm: NDArray[np.float64] = tree.query(points * spacing_mm)[0]
    return distances_mm


def _near_offsets(spacing_mm: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The whole-voxel steps of a ball around the origin, nearest first, and their lengths in mm.

    A ball and not a box: whatever is not found in it is certainly further away than all that is.
    """
    radius_mm = (_NUM_NEIGHBOURS * spacing_mm.prod() * 3 / (4 * np.pi)) ** (1 / 3)
    reach = [int(radius_mm // size) for size in spacing_mm]
    steps = np.array(list(itertools.product(*(range(-width, width + 1) for width in reach))), dtype=np.intp)
    lengths_mm = np.sqrt(((steps * spacing_mm) ** 2).sum(axis=1))
    order = np.argsort(lengths_mm, kind="stable")
    order = order[lengths_mm[order] <= radius_mm]
    return steps[order], lengths_mm[order]
