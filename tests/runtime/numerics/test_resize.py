"""Against scipy.ndimage.zoom on the same outer faces, which scikit-image's `resize` calls for nnU-Net."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from mist_bundle.runtime.numerics.grid import spacing_of
from mist_bundle.runtime.numerics.resize import (
    resize_image,
    resize_label,
    slice_axis,
    stretched_affine,
    stretched_shape,
)

SHAPES = [((9, 14, 11), (13, 9, 11)), ((1, 8, 5), (3, 8, 10)), ((20, 6, 7), (7, 12, 3)), ((4, 4, 4), (4, 4, 4))]


def _zoom(volume: NDArray[np.float32], shape: tuple[int, ...], order: int) -> NDArray[np.float64]:
    factors = np.divide(shape, volume.shape)
    result = ndimage.zoom(volume.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(result, volume.min(), volume.max())


@pytest.mark.parametrize(("shape", "new_shape"), SHAPES)
@pytest.mark.parametrize("order", [0, 1, 3])
def test_all_axes_alike(shape: tuple[int, ...], new_shape: tuple[int, ...], order: int) -> None:
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    result = resize_image(image, new_shape, order=order)
    for channel in range(2):
        np.testing.assert_allclose(result[channel], _zoom(image[channel], new_shape, order), atol=2e-5)


@pytest.mark.parametrize("across", [0, 1, 2])
def test_slices_singly_and_nearest_across(across: int) -> None:
    image = np.random.default_rng(1).normal(size=(1, 6, 9, 8)).astype(np.float32)
    new_shape = [11, 12, 13]
    result = resize_image(image, new_shape, order=3, across=across)[0]
    in_plane = [length for axis, length in enumerate(new_shape) if axis != across]
    length = image.shape[1 + across]
    for index in range(new_shape[across]):
        nearest = int(np.clip(np.floor((index + 0.5) * length / new_shape[across]), 0, length - 1))
        expected = _zoom(image[0].take(nearest, axis=across), tuple(in_plane), 3)
        np.testing.assert_allclose(result.take(index, axis=across), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("spacing", "other", "separate", "expected"),
    [
        ((1, 1, 5), (1, 1, 1), None, 2),
        ((1, 1, 1), (4, 1, 1), None, 0),
        ((1, 1, 3), (1, 1, 1), None, None),  # not more than three times
        ((4, 4, 1), (1, 1, 1), None, None),  # two axes are equally coarse
        ((1, 1, 5), (1, 1, 1), False, None),
        ((1, 2, 1), (1, 1, 1), True, 1),
    ],
)
def test_when_slices_are_resized_singly(
    spacing: tuple[float, ...], other: tuple[float, ...], separate: bool | None, expected: int | None
) -> None:
    assert slice_axis(spacing, other, separate=separate) == expected


def test_shapes_round_to_even_and_outer_faces_stay() -> None:
    assert stretched_shape((5, 7, 3), (0.5, 0.5, 0.1), (1, 1, 1)) == (2, 4, 1)  # 2.5, 3.5 and 0.3
    affine = np.diag([0.7, 1.1, 2.0, 1])
    stretched = stretched_affine(affine, (10, 9, 8), (7, 9, 20))
    np.testing.assert_allclose(spacing_of(stretched), [1.0, 1.1, 0.8])
    for shape, grid in (((10, 9, 8), affine), ((7, 9, 20), stretched)):
        np.testing.assert_allclose((grid @ [-0.5, -0.5, -0.5, 1])[:3], [-0.35, -0.55, -1.0])
        np.testing.assert_allclose((grid @ [*(np.array(shape) - 0.5), 1])[:3], [6.65, 9.35, 15.0])


def test_labels_go_to_the_largest_class_and_ties_to_the_nearest_voxel() -> None:
    label = np.random.default_rng(2).integers(0, 4, (7, 8, 6)).astype(np.int16)
    new_shape = (10, 5, 9)
    shares = np.stack([_zoom((label == index).astype(np.float32), new_shape, 1) for index in range(4)])
    result = resize_label(label, new_shape, 4, order=1)
    clear = np.sort(shares, axis=0)[-1] - np.sort(shares, axis=0)[-2] > 1e-5
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(result[clear], shares.argmax(axis=0)[clear])
    # a new voxel half-way between two old voxels: the nearest, which is the upper
    assert resize_label(np.array([2, 1], np.int16).reshape(2, 1, 1), (1, 1, 1), 3, order=1).item() == 1
