"""Volume, surface and shape of a structure from its mask, which distinguish an organ from a vessel or a sheet.

All lengths are in millimetres. Nothing is sampled at random, so the same mask always has the same numbers.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.runtime.numerics.crop import bounding_box, box_slices

Mask = NDArray[np.bool_]
SpacingTuple = tuple[float, float, float]

# half of the 26 directions to a voxel's neighbours, so that each line is counted once
_DIRECTIONS = tuple(step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0))
# thresholds for a paired organ
_PAIR_SHARE = 0.9  # of all voxels in the two largest parts
_PAIR_RATIO = 0.4  # of the smaller part to the larger
_PAIR_SIDEWAYS = 0.8  # cosine of the line between their centres with the left-right axis
_MAX_DISTANCE_VOXELS = 1 << 21  # larger boxes are subsampled before the distance transform


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapeStats:
    """The shape of a mask.

    Attributes:
        volume_mm3: number of voxels times their volume.
        surface_mm2: area of the surface.
        linearity: (l1 - l2) / l1 of the sorted variances l1 >= l2 >= l3 along the principal axes; 1 for a rod.
        planarity: (l2 - l3) / l1; 1 for a sheet.
        sphericity: l3 / l1; 1 for a ball or a cube. The three add up to 1.
        isoperimetric_quotient: 36 pi V^2 / S^3; 1 for a ball, less for everything else.
        inscribed_radius_mm: radius of the largest ball that fits inside.
        thickness_index: inscribed radius times S / V; 3 for a ball or a cube, 2 for a long rod, 1 for a sheet, straight
            or bent.
        inscribed_balls: volume in units of the largest ball inside; 1 for a ball, large for a vessel tree or a sheet.
    """

    volume_mm3: float
    surface_mm2: float
    linearity: float
    planarity: float
    sphericity: float
    isoperimetric_quotient: float
    inscribed_radius_mm: float
    thickness_index: float
    inscribed_balls: float

    def to_json(self) -> dict[str, float]:
        """Plain JSON."""
        return asdict(self)


def measure_shape(mask: Mask, spacing_mm: Sequence[float]) -> ShapeStats | None:
    """Measure a structure.

    Args:
        mask: (X, Y, Z).
        spacing_mm: size of a voxel along each axis.

    Returns:
        None for an empty mask.
    """
    box = bounding_box(mask)
    if box is None:
        return None
    inside = np.ascontiguousarray(mask[box_slices(box)])
    spacing = _spacing(spacing_mm)
    volume = int(np.count_nonzero(inside)) * math.prod(spacing)
    surface = surface_area(inside, spacing)
    radius = inscribed_radius(inside, spacing)
    first, second, third = principal_variances(inside, spacing)
    return ShapeStats(
        volume_mm3=volume,
        surface_mm2=surface,
        linearity=(first - second) / first,
        planarity=(second - third) / first,
        sphericity=third / first,
        isoperimetric_quotient=36 * math.pi * volume**2 / surface**3,
        inscribed_radius_mm=radius,
        thickness_index=radius * surface / volume,
        inscribed_balls=volume / (4 / 3 * math.pi * radius**3),
    )


def principal_variances(mask: Mask, spacing_mm: Sequence[float]) -> tuple[float, float, float]:
    """Variances in mm² along the principal axes, largest first, of all points inside the voxels of a mask.

    Points fill the voxels, so even a single layer has a thickness. Computed from the projections of the mask.

    Raises:
        ValueError: the mask is empty.
    """
    total = int(np.count_nonzero(mask))
    if total == 0:
        msg = "An empty mask has no shape."
        raise ValueError(msg)
    spacing = np.asarray(_spacing(spacing_mm))
    planes = {}
    for pair in ((0, 1), (0, 2), (1, 2)):
        remaining_axis = 3 - sum(pair)
        planes[pair] = mask.sum(axis=remaining_axis, dtype=np.float64)
    profiles = (planes[0, 1].sum(axis=1), planes[0, 1].sum(axis=0), planes[0, 2].sum(axis=0))
    centred = []
    covariance = np.zeros((3, 3))
    for axis, profile in enumerate(profiles):
        positions = np.arange(len(profile)) * spacing[axis]
        centred.append(positions - float(positions @ profile) / total)
        covariance[axis, axis] = float(centred[axis] ** 2 @ profile) / total
    for (first, second), plane in planes.items():
        covariance[first, second] = covariance[second, first] = centred[first] @ plane @ centred[second] / total
    covariance += np.diag(spacing**2 / 12)  # the variance inside a voxel
    third, second_, first_ = np.linalg.eigvalsh(covariance).tolist()
    return first_, second_, third


def surface_area(mask: Mask, spacing_mm: Sequence[float]) -> float:
    """Surface in mm² by the Crofton formula: crossings of the surface by lines in 13 directions.

    The mean projected area of a convex body over all directions is a quarter of its surface; counting every crossing of
    a line extends this to all bodies. The weight of a direction is the share of the sphere that is nearest to it.
    Unlike the area of a triangulated surface, the result is not too large for smooth bodies (Lang and Ohser, "Surface
    area of digitized bodies", 2001: a few per cent at most); flat faces along the voxel grid come out a tenth too
    small. Voxels beyond the image count as outside.
    """
    spacing = _spacing(spacing_mm)
    padded = np.pad(mask, 1)
    area = 0.0
    for step, weight in zip(_DIRECTIONS, _direction_weights(spacing), strict=True):
        length = math.hypot(*np.multiply(step, spacing))
        crossings = int(np.count_nonzero(padded[_ahead(step)] ^ padded[_behind(step)]))
        # the lines of a direction pass the lattice `voxel volume / step length` apart
        area += weight * crossings * math.prod(spacing) / length
    return 2 * area


def inscribed_radius(mask: Mask, spacing_mm: Sequence[float]) -> float:
    """Radius in mm of the largest ball inside a mask; 0 for an empty mask.

    Small masks are sampled at half the voxel size, where layers of any number of voxels come out exactly. Masks whose
    box has more than 2^21 voxels are subsampled; the error is then about the size of a subsampled voxel.
    """
    from scipy import ndimage

    if not mask.any():
        return 0.0
    spacing = np.asarray(_spacing(spacing_mm))
    step = max(1, math.ceil((mask.size / _MAX_DISTANCE_VOXELS) ** (1 / 3)))
    if 8 * mask.size <= _MAX_DISTANCE_VOXELS:
        grid = mask.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)
        spacing = spacing / 2
    elif step > 1 and mask[::step, ::step, ::step].any():
        grid = mask[::step, ::step, ::step]
        spacing = spacing * step
    else:
        grid = mask
    return float(ndimage.distance_transform_edt(np.pad(grid, 1), sampling=spacing.tolist()).max())


def component_voxels(mask: Mask) -> list[int]:
    """Number of voxels of each connected component, largest first; voxels that share a corner are connected."""
    from scipy import ndimage

    box = bounding_box(mask)
    if box is None:
        return []
    labelled, _ = ndimage.label(mask[box_slices(box)], structure=np.ones((3, 3, 3)))
    return sorted(np.bincount(labelled.ravel())[1:].tolist(), reverse=True)


def paired_part(mask: Mask, affine: NDArray[np.float64]) -> Mask | None:
    """The larger half of a paired organ such as the kidneys; None where the mask is not such a pair.

    A pair consists of two parts of similar size side by side from left to right, which together hold nearly all voxels.
    This excludes a part in the middle, many lesions, or a lesion with satellites.

    Args:
        mask: (X, Y, Z) of the structure.
        affine: voxel index -> RAS+ millimetres; its translation does not matter.
    """
    from scipy import ndimage

    box = bounding_box(mask)
    if box is None:
        return None
    labelled, count = ndimage.label(mask[box_slices(box)], structure=np.ones((3, 3, 3)))
    if count < 2:
        return None
    sizes = np.bincount(labelled.ravel())[1:]
    larger, smaller = (np.argsort(-sizes, kind="stable")[:2] + 1).tolist()
    both = sizes[larger - 1] + sizes[smaller - 1]
    if both < _PAIR_SHARE * sizes.sum() or sizes[smaller - 1] < _PAIR_RATIO * sizes[larger - 1]:
        return None
    centres = np.array(ndimage.center_of_mass(labelled > 0, labelled, [larger, smaller]))
    apart_mm = np.asarray(affine)[:3, :3] @ (centres[1] - centres[0])
    if abs(apart_mm[0]) < _PAIR_SIDEWAYS * np.linalg.norm(apart_mm):
        return None
    part: Mask = labelled == larger
    return part


@functools.lru_cache(maxsize=64)
def _direction_weights(spacing_mm: SpacingTuple) -> tuple[float, ...]:
    """Share of the sphere that is nearest to each direction (or its opposite); the shares add up to 1."""
    from scipy.spatial import SphericalVoronoi

    vectors = np.asarray(_DIRECTIONS) * np.asarray(spacing_mm)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    areas = SphericalVoronoi(np.concatenate([units, -units])).calculate_areas()
    shares = (areas[: len(units)] + areas[len(units) :]) / areas.sum()
    return tuple(shares.tolist())


def _ahead(step: Sequence[int]) -> tuple[slice, ...]:
    """Index of all voxels that have a neighbour at -step."""
    slices = {-1: slice(None, -1), 0: slice(None), 1: slice(1, None)}
    return tuple(map(slices.__getitem__, step))


def _behind(step: Sequence[int]) -> tuple[slice, ...]:
    """Index of these neighbours."""
    return _ahead(np.negative(step).tolist())


def _spacing(spacing_mm: Sequence[Any]) -> SpacingTuple:
    x, y, z = map(float, spacing_mm)
    return x, y, z
