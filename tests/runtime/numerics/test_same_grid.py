"""The same grid in any storage order, within the tolerance."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.runtime.numerics.same_grid import grid_finding, onto_grid
from tests.runtime.geometry import ORIENTATIONS, make_affine

AFFINE = make_affine(ORIENTATIONS[0], (0.703125, 0.703125, 3.0), (4, 5, 6))
SHAPE = (10, 12, 8)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_storage_order_of_one_grid_is_turned_as_nibabel_turns_it(orientation):
    array = np.random.default_rng(0).integers(0, 5, SHAPE)
    change = nib.orientations.axcodes2ornt(nib.aff2axcodes(make_affine(orientation, (1, 1, 1))))
    stored = nib.Nifti1Image(array.astype(np.int16), AFFINE).as_reoriented(change)
    turned, affine = onto_grid(np.asarray(stored.dataobj), stored.affine, AFFINE, SHAPE)
    np.testing.assert_array_equal(turned, array)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-9)
    assert grid_finding("mask", affine, turned.shape, "image", AFFINE, SHAPE) == ""


def test_another_place_or_a_tilt_is_never_turned():
    array = np.zeros(SHAPE)
    mirrored = np.diag([-1.0, 1, 1, 1]) @ AFFINE  # about the world's origin, not about the image's middle
    for affine in (mirrored, make_affine(ORIENTATIONS[0], (1, 1, 1), (40, 0, 0))):
        assert onto_grid(array, affine, AFFINE, SHAPE)[0] is array
    message = grid_finding("mask.nii.gz", mirrored, SHAPE, "t1.nii.gz", AFFINE, SHAPE)
    assert "point to" in message
    assert "Look at both in a viewer" in message


def test_spacing_rounded_to_four_digits_is_the_same_grid():
    rounded = AFFINE.copy()
    rounded[:3, :2] *= 0.7031 / 0.703125
    shape = (512, 512, 6)
    assert grid_finding("mask", rounded, shape, "image", AFFINE, shape) == ""
    rounded[:3, :2] *= 1.001
    assert "its spacing is" in grid_finding("mask", rounded, shape, "image", AFFINE, shape)
