"""Codes of 2x2x2 neighbourhoods and the surface area of each, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from mist_bundle.runtime.metrics.surfels import EMPTY_CODE, FULL_CODE, neighbour_codes, surface_areas


def test_codes_are_bits_of_the_eight_voxels() -> None:
    mask = np.zeros((1, 1, 1), bool)
    mask[0, 0, 0] = True
    codes = neighbour_codes(mask)
    assert codes.shape == (2, 2, 2)
    # the voxel is the last of the first neighbourhood and the first of the last
    assert codes[0, 0, 0] == 1 << 7
    assert codes[1, 1, 1] == 1 << 0
    assert sorted(codes.ravel().tolist()) == [1 << bit for bit in range(8)]


def test_inside_and_outside_have_no_surface() -> None:
    mask = np.ones((4, 4, 4), bool)
    codes = neighbour_codes(mask)
    assert (codes[1:-1, 1:-1, 1:-1] == FULL_CODE).all()
    assert (neighbour_codes(~mask) == EMPTY_CODE).all()


def test_area_of_a_flat_face_is_the_voxels_own() -> None:
    areas = surface_areas((2.0, 3.0, 5.0))
    # four corners at the low end of one axis: bits x * 4 + y * 2 + z
    assert areas[0b00001111] == pytest.approx(3 * 5)
    assert areas[0b00110011] == pytest.approx(2 * 5)
    assert areas[0b01010101] == pytest.approx(2 * 3)
    assert areas[0] == areas[255] == 0


def test_opposite_codes_share_their_surface() -> None:
    areas = surface_areas((0.7, 1.3, 2.9))
    np.testing.assert_allclose(areas, areas[::-1])


@pytest.mark.parametrize("sides", [(1, 1, 1), (2, 3, 4), (5, 4, 3)])
def test_area_of_a_box_has_bevelled_edges_and_corners(sides: tuple[int, int, int]) -> None:
    """Marching cubes cuts edges and corners off half-way between voxel centres."""
    area = surface_areas((1.0, 1.0, 1.0))[neighbour_codes(np.ones(sides, bool))].sum()
    x, y, z = (side - 1 for side in sides)
    faces = 2 * (x * y + x * z + y * z)
    edges = 4 * (x + y + z) * np.sqrt(0.5)
    corners = 8 * np.sqrt(3) / 8
    assert area == pytest.approx(faces + edges + corners)
