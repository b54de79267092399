"""Shapes against closed forms: balls, rods, sheets, boxes and tori, on fine and on uneven grids."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from mist_bundle.analysis.shape import (
    component_voxels,
    inscribed_radius,
    measure_shape,
    paired_part,
    principal_variances,
    surface_area,
)

GRIDS = [(1.0, 1.0, 1.0), (1.0, 1.0, 2.5), (0.5, 0.7, 3.0)]


def _coordinates(half_size: tuple[float, float, float], spacing: tuple[float, float, float]) -> list[np.ndarray]:
    # an odd offset, so that no voxel lies exactly on a surface
    axes = [
        (np.arange(2 * math.ceil(half / size) + 5) - math.ceil(half / size) - 2 + 0.137) * size
        for half, size in zip(half_size, spacing, strict=True)
    ]
    return np.meshgrid(*axes, indexing="ij")


def _ball(radius: float, spacing: tuple[float, float, float]) -> np.ndarray:
    return sum(axis**2 for axis in _coordinates((radius,) * 3, spacing)) <= radius**2


@pytest.mark.parametrize("spacing", GRIDS)
def test_ball(spacing: tuple[float, float, float]) -> None:
    radius = 14.0
    shape = measure_shape(_ball(radius, spacing), spacing)
    assert shape is not None
    assert shape.volume_mm3 == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.01)
    assert shape.surface_mm2 == pytest.approx(4 * math.pi * radius**2, rel=0.02)
    assert shape.isoperimetric_quotient == pytest.approx(1, abs=0.05)
    assert shape.sphericity == pytest.approx(1, abs=0.03)
    assert shape.inscribed_radius_mm == pytest.approx(radius, abs=0.6 * max(spacing))
    assert shape.thickness_index == pytest.approx(3, rel=0.12)
    assert shape.inscribed_balls == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rod(axis: int) -> None:
    radius, length = 5.0, 120.0
    half = [radius] * 3
    half[axis] = length / 2
    grid = _coordinates((half[0], half[1], half[2]), (1.0, 1.0, 1.0))
    across = [grid[other] for other in range(3) if other != axis]
    mask = (across[0] ** 2 + across[1] ** 2 <= radius**2) & (np.abs(grid[axis]) <= length / 2)
    shape = measure_shape(mask, (1, 1, 1))
    assert shape is not None
    # variances along the axis and across it: length² / 12 and radius² / 4
    assert shape.linearity == pytest.approx(1 - radius**2 / 4 / (length**2 / 12), abs=0.01)
    assert shape.planarity == pytest.approx(0, abs=0.01)
    assert shape.surface_mm2 == pytest.approx(2 * math.pi * radius * (length + radius), rel=0.05)
    assert shape.thickness_index == pytest.approx(2, rel=0.15)
    assert shape.inscribed_balls == pytest.approx(0.75 * length / radius, rel=0.2)


def test_sheet_in_any_direction() -> None:
    sheet = np.zeros((60, 60, 60), dtype=bool)
    sheet[:, :, 28:32] = True
    shape = measure_shape(sheet, (1, 1, 1))
    assert shape is not None
    assert shape.planarity == pytest.approx(1 - 4**2 / 60**2, abs=1e-9)
    assert shape.linearity == pytest.approx(0, abs=1e-9)
    assert shape.inscribed_radius_mm == pytest.approx(2)
    turned = ndimage.rotate(sheet.astype(np.float32), 35, axes=(0, 2), order=1) > 0.5
    tilted = measure_shape(turned, (1, 1, 1))
    assert tilted is not None
    assert tilted.planarity == pytest.approx(shape.planarity, abs=0.06)  # its rim is frayed by the turn
    assert tilted.thickness_index < 1.5
    assert shape.thickness_index < 1.5


def test_variances_are_those_of_the_voxels_coordinates() -> None:
    mask = np.random.default_rng(3).random((9, 7, 11)) > 0.6
    spacing = np.array([0.8, 1.1, 2.0])
    places = np.argwhere(mask) * spacing
    expected = np.cov(places.T, bias=True) + np.diag(spacing**2 / 12)
    found = principal_variances(mask, spacing.tolist())
    np.testing.assert_allclose(found, np.sort(np.linalg.eigvalsh(expected))[::-1], rtol=1e-10)
    assert measure_shape(mask, spacing.tolist()) is not None


def test_surface_of_a_torus_which_no_convex_rule_gives() -> None:
    large, small = 20.0, 6.0
    x, y, z = _coordinates((large + small, large + small, small), (1.0, 1.0, 1.0))
    mask = (np.hypot(x, y) - large) ** 2 + z**2 <= small**2
    assert surface_area(mask, (1, 1, 1)) == pytest.approx(4 * math.pi**2 * large * small, rel=0.02)
    shape = measure_shape(mask, (1, 1, 1))
    assert shape is not None
    # a bent rod is still a rod, although its principal axes are those of a disc
    assert shape.thickness_index == pytest.approx(2, rel=0.1)
    assert shape.planarity > 0.8


@pytest.mark.parametrize("thickness", [1, 2, 3, 4, 7])
def test_layers_of_any_thickness_have_half_of_it_as_radius(thickness: int) -> None:
    assert inscribed_radius(np.ones((20, 20, thickness), dtype=bool), (1, 1, 1.5)) == pytest.approx(thickness * 0.75)


def test_radius_of_a_mask_too_large_to_be_refined() -> None:
    radius = 70.0
    found = inscribed_radius(_ball(radius, (1.0, 1.0, 1.0)), (1, 1, 1))
    assert found == pytest.approx(radius, abs=2)


def test_touching_corners_are_one_component_and_sizes_are_sorted() -> None:
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    mask[5:8, 5:8, 5:8] = True
    mask[11, 0, 0] = True
    assert component_voxels(mask) == [27, 2, 1]
    assert component_voxels(np.zeros((3, 3, 3), dtype=bool)) == []


def test_nothing_has_no_shape_and_one_voxel_has_one() -> None:
    assert measure_shape(np.zeros((4, 4, 4), dtype=bool), (1, 1, 1)) is None
    assert inscribed_radius(np.zeros((4, 4, 4), dtype=bool), (1, 1, 1)) == 0
    with pytest.raises(ValueError, match="no shape"):
        principal_variances(np.zeros((2, 2, 2), dtype=bool), (1, 1, 1))
    single = measure_shape(np.ones((1, 1, 1), dtype=bool), (1, 1, 1))
    assert single is not None
    assert single.volume_mm3 == 1
    assert single.sphericity == pytest.approx(1)


def _two_balls(first: tuple[int, int, int], second: tuple[int, int, int], radii: tuple[int, int]) -> np.ndarray:
    grid = np.indices((40, 40, 40))
    mask = np.zeros((40, 40, 40), bool)
    for centre, radius in zip((first, second), radii, strict=True):
        mask |= ((grid - np.array(centre)[:, None, None, None]) ** 2).sum(axis=0) <= radius**2
    return mask


@pytest.mark.parametrize(
    ("second", "radii", "is_paired"),
    [
        ((30, 20, 20), (6, 6), True),
        ((30, 24, 23), (6, 5), True),
        ((30, 20, 20), (6, 3), False),  # a lesion and its satellite
        ((10, 30, 20), (6, 6), False),  # one before the other
        ((10, 20, 32), (6, 6), False),  # one above the other
    ],
)
@pytest.mark.parametrize("axis", range(3))
def test_paired_organs_lie_left_and_right(second: tuple, radii: tuple, is_paired: bool, axis: int) -> None:
    mask = _two_balls((10, 20, 20), second, radii)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    # the axis that runs from left to right may be any of the array's
    mask = np.moveaxis(mask, 0, axis)
    order = [1, 2]
    order.insert(axis, 0)
    affine[:3, :3] = np.eye(3)[:, order]
    part = paired_part(mask, affine)
    assert (part is not None) == is_paired
    if part is not None:
        assert part.sum() == max(component_voxels(mask))


def test_one_part_or_many_are_no_pair() -> None:
    one = _two_balls((10, 20, 20), (10, 20, 20), (6, 6))
    assert paired_part(one, np.eye(4)) is None
    assert paired_part(np.zeros_like(one), np.eye(4)) is None
    many = _two_balls((10, 20, 20), (30, 20, 20), (5, 5)) | _two_balls((20, 8, 20), (20, 32, 20), (4, 4))
    assert paired_part(many, np.eye(4)) is None
