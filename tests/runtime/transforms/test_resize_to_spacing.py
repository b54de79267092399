"""From the grid of a file to that of a model and back, by nnU-Net's rules."""

from __future__ import annotations

import numpy as np
import pytest
from monai.data import MetaTensor
from scipy import ndimage

from mist_bundle.runtime.numerics.restore_cells import LabelMapFromCells
from mist_bundle.runtime.transforms.resize_to_spacing import ResizeToSpacingd
from mist_bundle.runtime.transforms.volume import NEAREST_AXIS, affine_of


def _image(shape: tuple[int, ...], spacing: tuple[float, ...], seed: int = 0) -> MetaTensor:
    values = np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)
    return MetaTensor(values, affine=np.diag([*spacing, 1.0]))


def test_image_and_label_lie_on_the_same_new_grid() -> None:
    image = _image((10, 12, 7), (1.0, 0.8, 1.2))
    label = MetaTensor((np.asarray(image) > 0).astype(np.int16), affine=image.affine)
    resize = ResizeToSpacingd((1.5, 1.0, 1.0), num_classes=2)
    case = resize({"image": image, "label": label})
    assert case["image"].shape == case["label"].shape == (1, 7, 10, 8)
    np.testing.assert_allclose(affine_of(case["image"]), affine_of(case["label"]))
    expected = ndimage.zoom(
        np.asarray(image[0], float), np.divide((7, 10, 8), (10, 12, 7)), mode="nearest", grid_mode=True
    )
    clipped = np.clip(expected, float(image.min()), float(image.max()))
    np.testing.assert_allclose(np.asarray(case["image"][0]), clipped, atol=2e-5)
    assert case["image"].meta[NEAREST_AXIS] == -1


@pytest.mark.parametrize(("spacing", "nearest"), [((1.0, 1.0, 5.0), 2), ((5.0, 1.0, 1.0), 0), ((1.0, 1.0, 2.0), -1)])
def test_scores_return_linearly_and_by_the_nearest_across_slices(spacing: tuple[float, ...], nearest: int) -> None:
    image = _image((9, 8, 7), spacing)
    target = tuple(value * 1.3 for value in spacing)
    prepared = ResizeToSpacingd(target)({"image": image})["image"]
    assert prepared.meta[NEAREST_AXIS] == nearest
    scores = np.random.default_rng(1).normal(size=(3, *prepared.shape[1:])).astype(np.float32)
    grids = (prepared.shape[1:], affine_of(prepared), affine_of(image), (9, 8, 7), None)
    restored = LabelMapFromCells(*grids, [0, 1, 2], nearest_axis=nearest)
    restored.add((0, 0, 0), [slice(0, length) for length in prepared.shape[1:]], scores)
    volumes = []
    for channel in scores.astype(float):
        volume = channel
        for axis in range(3):
            factors = np.ones(3)
            factors[axis] = (9, 8, 7)[axis] / volume.shape[axis]
            order = 0 if axis == nearest else 1
            volume = ndimage.zoom(volume, factors, order=order, mode="nearest", grid_mode=True)
        volumes.append(volume)
    np.testing.assert_array_equal(restored.label_map, np.argmax(volumes, axis=0))


def test_orders_are_checked() -> None:
    with pytest.raises(ValueError, match="orders must be two of 0, 1 and 3"):
        ResizeToSpacingd((1, 1, 1), image_orders=(2, 0))
