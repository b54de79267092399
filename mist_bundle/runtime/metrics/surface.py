"""Distances between the surfaces of two masks, computed once and shared by all metrics that need them.

Both surfaces are taken at voxel corners and weighted by area (see surfels.py), as in google-deepmind/surface-distance
and MIST: a metric of a finely and of a coarsely sampled surface then means the same. Both masks must have voxels; the
values of empty masks are decided in case.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import box_slices
from ..numerics.grid import as_shape
from .surfels import EMPTY_CODE, FULL_CODE, neighbour_codes, surface_areas

_ROBUST_FRACTION = 0.95
_DEFAULT_TOLERANCE_MM = 1.0  # MIST's
# Spacings read from float32 headers are off by up to 1e-7: a surface that lies exactly at the tolerance still counts.
_ROUNDING = 1e-6
# How many neighbours are looked up before a search tree is used. Predictions lie mostly within a few voxels of the
# reference; on the tumours of BraTS this is five times faster than the tree alone and twenty times than a distance map.
_NUM_NEIGHBOURS = 250
# For so few points a look at all others is faster than to build a tree of them.
_FEW_POINTS = 64


class SurfaceDistances:
    """From each surface element of a mask to the nearest of the other, in both directions.

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
        spacing = tuple(map(float, spacing_mm))
        predicted, true = _Surface(prediction, spacing), _Surface(reference, spacing)
        self.prediction = SortedDistances(predicted.distances_to(true), predicted.areas_mm2)
        self.reference = SortedDistances(true.distances_to(predicted), true.areas_mm2)


class SortedDistances:
    """The distances of a surface's elements to the other surface, ascending, with the elements' areas.

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
        # an exact tie counts as reached, whatever the rounding of the sum
        area_mm2 = fraction * self.area_mm2 * (1 - 1e-9)
        return float(self.distances_mm[int(np.searchsorted(self._area_up_to_mm2, area_mm2))])

    def area_within_mm2(self, tolerance_mm: float) -> float:
        """Area of the part of the surface that is at most this far away."""
        count = int(np.searchsorted(self.distances_mm, tolerance_mm * (1 + _ROUNDING), side="right"))
        return float(self._area_up_to_mm2[count - 1]) if count else 0.0


def hd95(distances: SurfaceDistances) -> float:
    """95th percentile of the Hausdorff distance in mm: the larger of both directions, by area."""
    prediction_mm = distances.prediction.quantile_mm(_ROBUST_FRACTION)
    reference_mm = distances.reference.quantile_mm(_ROBUST_FRACTION)
    return max(prediction_mm, reference_mm)


def hausdorff(distances: SurfaceDistances) -> float:
    """Hausdorff distance in mm: how far the furthest point of either surface is from the other surface."""
    return float(max(distances.prediction.distances_mm[-1], distances.reference.distances_mm[-1]))


def surface_dice(distances: SurfaceDistances, tolerance_mm: float = _DEFAULT_TOLERANCE_MM) -> float:
    """The part of both surfaces, by area, that lies within the tolerance of the other surface: 0 to 1."""
    prediction, reference = distances.prediction, distances.reference
    area_within_mm2 = prediction.area_within_mm2(tolerance_mm) + reference.area_within_mm2(tolerance_mm)
    return area_within_mm2 / (prediction.area_mm2 + reference.area_mm2)


def average_surface_distance(distances: SurfaceDistances, symmetric: bool = True) -> float:
    """Mean distance in mm between the surfaces, by area.

    Args:
        distances: of both surfaces.
        symmetric: average over both surfaces together, as MIST does; otherwise from the prediction to the reference.
    """
    prediction, reference = distances.prediction, distances.reference
    if not symmetric:
        return prediction.weighted_sum / prediction.area_mm2
    return (prediction.weighted_sum + reference.weighted_sum) / (prediction.area_mm2 + reference.area_mm2)


class _Surface:
    """The surface elements of a mask, in an array with a margin as wide as the ball that is looked through.

    Attributes:
        present: (X, Y, Z) where there is surface.
        places: (n,) the elements' places in the flat array.
        areas_mm2: (n,) their areas.
    """

    def __init__(self, mask: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> None:
        codes = neighbour_codes(mask)
        self.spacing_mm = spacing_mm
        margin = np.abs(_near_offsets(spacing_mm)[0]).max(axis=0)
        inside = box_slices((as_shape(margin), as_shape(margin + codes.shape)))
        self.present = np.zeros(as_shape(codes.shape + 2 * margin), dtype=bool)
        # neither empty nor full; below 0 comes the largest number
        self.present[inside] = codes - np.uint8(EMPTY_CODE + 1) < FULL_CODE - 1
        self.places = np.flatnonzero(self.present)
        self.areas_mm2 = surface_areas(spacing_mm)[codes[self.present[inside]]]

    def distances_to(self, other: _Surface) -> NDArray[np.float64]:
        """The exact distance in mm from each element to the nearest element of the other surface."""
        offsets, lengths_mm = _near_offsets(self.spacing_mm)
        strides = np.array((self.present.shape[1] * self.present.shape[2], self.present.shape[2], 1))
        flat = other.present.ravel()
        distances_mm = np.zeros(len(self.places))
        left, places = np.arange(len(self.places)), self.places
        for step, length_mm in zip((offsets @ strides).tolist(), lengths_mm.tolist(), strict=True):
            hit = flat[places + step]
            if hit.any():
                distances_mm[left[hit]] = length_mm
                left, places = left[~hit], places[~hit]
                if left.size == 0:
                    return distances_mm
        distances_mm[left] = _nearest_distances(self._in_mm(places), self._in_mm(other.places))
        return distances_mm

    def _in_mm(self, places: NDArray[np.intp]) -> NDArray[np.float64]:
        indices = np.stack(np.unravel_index(places, self.present.shape), axis=1).astype(np.float64)
        return np.asarray(indices * self.spacing_mm, dtype=np.float64)


def _nearest_distances(points_mm: NDArray[np.float64], targets_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(points_mm) <= _FEW_POINTS:
        axes = np.ascontiguousarray(targets_mm.T)
        return np.array([np.sqrt(((axes - point[:, None]) ** 2).sum(axis=0).min()) for point in points_mm])
    from scipy.spatial import cKDTree

    # the tree's two time-saving switches: no search for medians, no shrinking of boxes; the answers are the same
    tree = cKDTree(targets_mm, leafsize=16, balanced_tree=False, compact_nodes=False)
    distances_mm: NDArray[np.float64] = tree.query(points_mm)[0]
    return distances_mm


@lru_cache(maxsize=32)
def _near_offsets(spacing_mm: tuple[float, ...]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The whole-voxel steps of a ball around the origin, nearest first, and their lengths in mm.

    A ball and not a box: whatever lies outside is certainly further away than everything inside.
    """
    sizes = np.array(spacing_mm)
    radius_mm = (_NUM_NEIGHBOURS * sizes.prod() * 3 / (4 * np.pi)) ** (1 / 3)
    reach = (radius_mm // sizes).astype(np.intp)
    steps = np.array(list(np.ndindex(*(2 * reach + 1)))) - reach
    lengths_mm = np.sqrt(((steps * sizes) ** 2).sum(axis=1))
    order = np.argsort(lengths_mm, kind="stable")
    order = order[lengths_mm[order] <= radius_mm]
    return steps[order], lengths_mm[order]
