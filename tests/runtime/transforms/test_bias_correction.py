"""N4 takes a slow drift out and leaves zeros and flat images alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.transforms.bias_correction import BiasCorrectiond


def phantom(shape=(36, 32, 28)):
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    head = (grid**2).sum(axis=0) < 0.8
    core = (grid**2).sum(axis=0) < 0.25
    truth = np.where(head, 100.0 + 80 * core, 0) + np.random.default_rng(0).normal(0, 1, shape) * head
    field = np.exp(0.4 * grid[0] + 0.25 * grid[1])
    return truth, field, head & ~core


def test_a_slow_drift_is_taken_out_and_zeros_stay():
    truth, field, tissue = phantom()
    image = (truth * field)[None].astype(np.float32)
    data = {"image": MetaTensor(torch.from_numpy(image), affine=torch.diag(torch.tensor([1.0, 1.2, 1.5, 1])))}
    result = BiasCorrectiond()(data)["image"].numpy()[0]
    before = image[0][tissue].std() / image[0][tissue].mean()
    after = result[tissue].std() / result[tissue].mean()
    assert after < before / 4
    assert result.dtype == np.float32
    assert not result[truth == 0].any()


@pytest.mark.parametrize("value", [0.0, -5.0, 7.0])
def test_an_image_without_structure_comes_back_as_it_is(value):
    image = np.full((2, 9, 8, 3), value, dtype=np.float32)
    np.testing.assert_array_equal(BiasCorrectiond()({"image": image})["image"].numpy(), image)


def test_thin_images_are_corrected_too():
    truth, field, _ = phantom((30, 30, 3))
    result = BiasCorrectiond(iterations=[5, 5])({"image": (truth * field)[None].astype(np.float32)})["image"]
    assert torch.isfinite(result).all()
