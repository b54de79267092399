"""The box around the voxels that are not zero."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.transforms.crop_to_nonzero import CropToNonzerod

AFFINE = torch.diag(torch.tensor([-1.0, 2.0, 3.0, 1.0], dtype=torch.float64))


def _case() -> dict[str, MetaTensor]:
    image = np.zeros((2, 8, 7, 6), np.float32)
    image[0, 2:6, 1:6, 1:5] = 3
    image[0, 4, 3, 3] = 0  # a hole
    image[1, 1, 2, 2] = -1  # negative values count, in any channel
    label = np.zeros((1, 8, 7, 6), np.int16)
    return {"image": MetaTensor(image, AFFINE), "label": MetaTensor(label, AFFINE)}


def test_the_box_holds_every_channel_and_the_affine_follows() -> None:
    case = CropToNonzerod(["image", "label"])(_case())
    assert case["image"].shape == (2, 5, 5, 4)
    assert case["label"].shape == (1, 5, 5, 4)
    assert case["image"].meta["crop_box"] == [[1, 1, 1], [6, 6, 5]]
    np.testing.assert_allclose(case["image"].affine[:3, 3], [-1, 2, 3])
    mask = np.asarray(case["nonzero"])
    assert mask.shape == (1, 5, 5, 4)
    assert mask[0, 3, 2, 2] == 1  # the hole is filled
    assert mask[0, 0].sum() == 1


def test_an_empty_image_stays_whole() -> None:
    image = MetaTensor(np.zeros((1, 4, 4, 4), np.float32), AFFINE)
    case = CropToNonzerod("image", mask_key=None)({"image": image})
    assert case["image"].shape == (1, 4, 4, 4)
    assert "nonzero" not in case
