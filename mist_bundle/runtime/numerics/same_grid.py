"""Whether two files lie on the same grid, by the same tolerance for analysis, training, prediction and scoring.

The same voxels can be stored in another order (a mask in LPS beside an image in RAS); such a file is turned, not
refused. Findings are sentences that name the fields of the header that differ, and by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grid import Affine, as_affine, axis_letters, index_map, largest_distance, turn

# Headers store float32 and tools round differently (0.7031 for 0.703125): differences far below a voxel are no
# misalignment.
TOLERANCE_MM = 1e-3
TOLERANCE_VOXELS = 0.1


def largest_offset(affine: NDArray[Any], tolerance_voxels: float = TOLERANCE_VOXELS) -> float:
    """How far (mm) voxels may lie apart: a tenth of the smallest voxel side, or 0.001 mm."""
    return max(TOLERANCE_MM, tolerance_voxels * float(np.linalg.norm(np.asarray(affine)[:3, :3], axis=0).min()))


def onto_grid(
    array: NDArray[Any],
    affine: Any,
    reference_affine: Any,
    reference_shape: Sequence[int],
    tolerance_voxels: float = TOLERANCE_VOXELS,
) -> tuple[NDArray[Any], Affine]:
    """An array in the storage order of another grid, where only the order of its axes differs.

    Args:
        array: (X, Y, Z).
        affine: of the array.
        reference_affine: of the grid.
        reference_shape: (X, Y, Z) of the grid.
        tolerance_voxels: how far apart the same voxel may lie, in units of the smallest voxel side.

    Returns:
        A view with its axes permuted and flipped, and its affine; the array itself where no such turn brings it onto
        the grid.
    """
    order = _storage_order(index_map(affine, reference_affine))
    if order is None or order == ((0, 1, 2), (False, False, False)):
        return array, as_affine(affine)
    turned, turned_affine = turn(array[None], affine, *order)
    if turned.shape[1:] != tuple(reference_shape):
        return array, as_affine(affine)
    if largest_distance(reference_affine, turned_affine, reference_shape) > largest_offset(
        reference_affine, tolerance_voxels
    ):
        return array, as_affine(affine)
    return turned[0], turned_affine


def grid_finding(
    name: str,
    affine: Any,
    shape: Sequence[int],
    reference_name: str,
    reference_affine: Any,
    reference_shape: Sequence[int],
    tolerance_voxels: float = TOLERANCE_VOXELS,
) -> str:
    """Why a file does not lie on the grid of another, or "" when it does.

    The grids are the same when no corner lies further apart than a tenth of the smallest voxel side, or 0.001 mm.
    """
    both = f"{name} does not lie on the grid of {reference_name}"
    shape, reference_shape = tuple(shape), tuple(reference_shape)
    if shape != reference_shape:
        return f"{both}: its shape is {shape}, expected {reference_shape}. Resample it onto that grid."
    apart = largest_distance(reference_affine, affine, shape)
    tolerance = largest_offset(reference_affine, tolerance_voxels)
    if apart <= tolerance:
        return ""
    fields = ", ".join(_differing_fields(np.asarray(reference_affine), np.asarray(affine), shape, tolerance))
    advice = "Look at both in a viewer: where they coincide, repair its header; where not, resample it."
    letters, expected = axis_letters(affine), axis_letters(reference_affine)
    if letters != expected:  # the advice to copy a header would mirror it
        advice = f"Its axes point to {letters}, those of {reference_name} to {expected}. " + advice
    return f"{both}: {fields}; voxels lie up to {apart:.4g} mm apart (tolerance {tolerance:.2g} mm). {advice}"


def _storage_order(to_reference: Affine) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]] | None:
    """(permutation, flips) that `turn` needs; None where the map does more than permute and flip."""
    linear = to_reference[:3, :3]
    source = np.abs(linear).argmax(axis=1)
    if sorted(source.tolist()) != [0, 1, 2]:
        return None
    flips = linear[np.arange(3), source] < 0
    return (int(source[0]), int(source[1]), int(source[2])), (bool(flips[0]), bool(flips[1]), bool(flips[2]))


def _differing_fields(
    reference: NDArray[np.float64], other: NDArray[np.float64], shape: Sequence[int], tolerance: float
) -> list[str]:
    """The parts of the affine that matter, each with both values or the difference."""
    spacing = np.linalg.norm(other[:3, :3], axis=0)
    expected_spacing = np.linalg.norm(reference[:3, :3], axis=0)
    turned = other[:3, :3] / spacing - reference[:3, :3] / expected_spacing
    shift = other[:3, 3] - reference[:3, 3]
    extent = max(shape)
    fields = []
    if np.abs(spacing - expected_spacing).max() * extent > tolerance / 2:
        fields.append(f"its spacing is {_vector(spacing)} mm, expected {_vector(expected_spacing)} mm")
    if np.abs(turned).max() * extent * float(expected_spacing.max()) > tolerance / 2:
        # the chord between two unit vectors, which stays exact where the arc cosine of their product does not
        chord = np.linalg.norm(turned, axis=0).max()
        angle = 2 * np.degrees(np.arcsin(min(1.0, chord / 2)))
        fields.append(f"its direction is turned by {angle:.3g} degrees")
    if np.abs(shift).max() > tolerance / 2 or not fields:
        fields.append(f"its origin is shifted by {_vector(shift)} mm")
    return fields


def _vector(values: NDArray[np.float64]) -> str:
    return "({:.6g}, {:.6g}, {:.6g})".format(*values)
