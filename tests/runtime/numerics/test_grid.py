"""Orientations and resampled grids against nibabel and MONAI."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Orientation

from mist_bundle.runtime.numerics import grid
from tests.runtime.geometry import ORIENTATIONS, make_affine, obliques, orientations, rotation, spacings


@given(orientations, spacings, st.tuples(*[st.floats(-180, 180)] * 3))
@settings(max_examples=150, deadline=None)
def test_axis_letters_are_those_of_nibabel_for_any_rotation(orientation, spacing, degrees):
    affine = make_affine(orientation, spacing, degrees)
    assert grid.axis_letters(affine) == "".join(nib.aff2axcodes(affine))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_reorient_is_monais_orientation(orientation):
    array = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    affine = make_affine(orientation, (0.7, 1.1, 2.3), (7, -12, 15))
    expected = Orientation("LPS", labels=None)(MetaTensor(torch.from_numpy(array), affine=torch.from_numpy(affine)))
    result, result_affine = grid.reorient(array, affine)
    np.testing.assert_array_equal(result, expected.numpy())
    np.testing.assert_allclose(result_affine, expected.affine.numpy(), atol=1e-12)
    assert nib.aff2axcodes(result_affine) == ("L", "P", "S")


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 1, 5), (1, 4, 1, 1)])
def test_axes_of_one_voxel_keep_strides_that_torch_takes(shape):
    """NumPy calls such a view contiguous, so that `ascontiguousarray` copies nothing; torch refuses it."""
    array, affine = grid.reorient(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), np.diag([1.0, 1, 1, 1]))
    assert torch.from_numpy(np.ascontiguousarray(array)).shape == shape
    assert nib.aff2axcodes(affine) == ("L", "P", "S")


def test_reorient_takes_any_axis_codes_and_copies_nothing():
    array = np.arange(24.0).reshape(1, 2, 3, 4)
    result, affine = grid.reorient(array, np.eye(4), "PRI")
    assert grid.axis_letters(affine) == "PRI"
    assert np.shares_memory(result, array)


@pytest.mark.parametrize("axcodes", ["LP", "LPX", "LRS", "LPSA", "lps"])
def test_an_orientation_that_is_none_is_refused(axcodes):
    with pytest.raises(ValueError, match="a letter each"):
        grid.orientation_to(np.eye(4), (2, 3, 4), axcodes)


@given(orientations, spacings, spacings, obliques, st.tuples(*[st.integers(1, 40)] * 3))
@settings(max_examples=150, deadline=None)
def test_resampling_keeps_direction_and_the_centre_of_the_field_of_view(orientation, spacing, target, degrees, shape):
    affine = make_affine(orientation, spacing, degrees)
    new_shape = grid.resampled_shape(shape, grid.spacing_of(affine), target)
    new = grid.resampled_affine(affine, shape, new_shape, target)
    np.testing.assert_allclose(grid.spacing_of(new), target, rtol=1e-6)
    np.testing.assert_allclose(new[:3, :3] / target, affine[:3, :3] / spacing, atol=1e-6)
    centre = affine @ [*((np.array(shape) - 1) / 2), 1]
    new_centre = new @ [*((np.array(new_shape) - 1) / 2), 1]
    np.testing.assert_allclose(new_centre, centre, atol=1e-5)
    # The extent is kept to within half a voxel at either end.
    missing = np.array(shape) * spacing - np.array(new_shape) * target
    assert (
        np.abs(missing) <= np.maximum(np.array(target) * 0.5, np.array(target) - np.array(shape) * spacing) + 1e-4
    ).all()


@pytest.mark.parametrize(
    ("length", "spacing", "target", "expected"),
    [
        (10, 1.0, 2.0, 5),
        (5, 1.0, 2.0, 3),
        (5, np.float32(0.1) * 5, 1.0, 3),
        (1, 1.0, 5.0, 1),
        (2, 1.0, 6.0, 1),
        (7, 5, 1, 35),
    ],
)
def test_lengths_round_halves_up_and_never_to_nothing(length, spacing, target, expected):
    assert grid.resampled_length(length, spacing, target) == expected


def test_header_noise_is_the_same_spacing_and_changes_nothing():
    affine = make_affine(ORIENTATIONS[0], (1 + 1e-7, 1, 1 - 1e-7))
    shape = (300, 200, 100)
    assert grid.resampled_shape(shape, grid.spacing_of(affine), (1, 1, 1)) == shape
    np.testing.assert_array_equal(grid.resampled_affine(affine, shape, shape, (1, 1, 1)), affine)


def test_coordinates_beyond_the_outermost_voxel_centres_are_clamped_to_them():
    coordinates = grid.axis_coordinates(3, 15, 5.0, 1.0)
    np.testing.assert_allclose(coordinates, np.clip((np.arange(15) - 7) / 5 + 1, 0, 2))
    assert coordinates[0] == 0
    assert coordinates[-1] == 2


def test_index_map_takes_a_voxel_to_the_same_point():
    first, second = make_affine(ORIENTATIONS[7], (1, 2, 3), (3, 4, 5)), make_affine(ORIENTATIONS[40], (2, 2, 1))
    index = np.array([4.0, 5.0, 6.0, 1.0])
    np.testing.assert_allclose(second @ grid.index_map(first, second) @ index, first @ index, atol=1e-9)


def test_cropped_affine_keeps_every_voxel_in_place():
    affine = make_affine(ORIENTATIONS[11], (1, 2, 3), (3, 4, 5))
    np.testing.assert_allclose(grid.cropped_affine(affine, (2, 3, 4)) @ [0, 0, 0, 1], affine @ [2, 3, 4, 1])


@given(orientations, spacings)
@settings(max_examples=60, deadline=None)
def test_a_map_between_parallel_grids_is_a_signed_permutation(orientation, spacing):
    affine = make_affine(orientation, spacing, (11, -9, 4))
    other = make_affine(ORIENTATIONS[0], (1, 1, 1), (11, -9, 4))
    assert grid.is_signed_permutation(grid.index_map(affine, other), (200, 200, 200))


def test_a_tilt_counts_by_what_it_does_at_the_far_end():
    tilt = np.eye(4)
    tilt[:3, :3] = rotation((0, 0, 0.1))
    assert grid.is_signed_permutation(tilt, (10, 10, 10))
    assert not grid.is_signed_permutation(tilt, (300, 300, 300))
    tilt[:3, :3] = rotation((0, 0, 45))
    assert not grid.is_signed_permutation(tilt, (10, 10, 10))


@pytest.mark.parametrize("affine", [np.eye(3), np.zeros((4, 4)), np.full((4, 4), np.nan)])
def test_an_affine_that_is_none_is_refused(affine):
    with pytest.raises(ValueError, match="affine"):
        grid.spacing_of(affine)
