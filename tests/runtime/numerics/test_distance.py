"""Signed distances against SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from mist_bundle.runtime.numerics.distance import distance_maps, image_diagonal, signed_distance


def itk_distance(mask, spacing=None):
    image = sitk.GetImageFromArray(np.ascontiguousarray(mask.T).astype(np.uint8))
    if spacing is not None:
        image.SetSpacing(spacing)
    distance = sitk.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=spacing is not None
    )
    return sitk.GetArrayFromImage(distance).T


@pytest.mark.parametrize("spacing", [None, (0.7, 1.3, 4.0)])
@pytest.mark.parametrize("seed", range(6))
def test_signed_distance_is_that_of_simpleitk(spacing, seed):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(21, 24, 17)), 1 + seed % 3)
    mask = noise > np.quantile(noise, 0.6)  # ragged, and it touches the image's edge
    np.testing.assert_allclose(signed_distance(mask, spacing), itk_distance(mask, spacing), atol=1e-5)


@pytest.mark.parametrize("corner", [(0, 0, 0), (3, 2, 4)])
def test_a_single_voxel_is_its_own_border(corner):
    mask = np.zeros((5, 6, 7), dtype=np.uint8)
    mask[corner] = 1
    distance = signed_distance(mask)
    assert distance[corner] == 0
    np.testing.assert_allclose(distance, itk_distance(mask), atol=1e-6)


def test_maps_without_a_border_are_the_images_diagonal():
    label = np.zeros((3, 4, 12), dtype=np.uint8)
    plain = distance_maps(label, 3, normalize=False)
    assert image_diagonal(label.shape, (1, 1, 1)) == 13
    assert (plain[0] == -13).all()
    assert (plain[1:] == 13).all()
    in_mm = distance_maps(label, 2, normalize=False, spacing_mm=(2, 2, 2))
    assert (in_mm[1] == 26).all()
    normalized = distance_maps(label, 3)
    assert (normalized[0] == -1).all()
    assert (normalized[1:] == 1).all()


def test_normalised_maps_reach_to_one_on_either_side():
    label = np.zeros((20, 20, 20), dtype=np.uint8)
    label[5:15, 4:12, 6:18] = 2
    maps = distance_maps(label, 3)
    plain = distance_maps(label, 3, normalize=False)
    assert maps.shape == (3, 20, 20, 20)
    assert maps.dtype == np.float32
    for index in (0, 2):
        assert (maps[index].min(), maps[index].max()) == (-1, 1)
        outside = plain[index] > 0
        np.testing.assert_allclose(maps[index][outside], plain[index][outside] / plain[index].max(), rtol=1e-6)
        np.testing.assert_allclose(maps[index][~outside], plain[index][~outside] / -plain[index].min(), rtol=1e-6)


def test_maps_of_regions_are_the_distances_from_their_union() -> None:
    label = np.zeros((12, 10, 8), np.uint8)
    label[2:6, 2:6, 2:6], label[6:9, 2:6, 2:6] = 1, 2
    maps = distance_maps(label, 3, normalize=False, regions=[[1, 2], [2]])
    assert maps.shape == (2, 12, 10, 8)
    np.testing.assert_allclose(maps[0], signed_distance(label > 0), atol=1e-6)
    np.testing.assert_allclose(maps[1], signed_distance(label == 2), atol=1e-6)
