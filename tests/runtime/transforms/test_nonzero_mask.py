"""The mask of non-zero voxels, channel by channel."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.transforms.nonzero_mask import NonzeroMaskd


def test_each_channel_has_its_own_mask_on_the_images_grid():
    image = torch.zeros(2, 3, 4, 5)
    image[0, 1, 1, 1] = -2
    image[1, 2, 2, 2] = 1e-20
    data = {"image": MetaTensor(image, affine=torch.diag(torch.tensor([2.0, 3, 4, 1])))}
    mask = NonzeroMaskd()(data)["nonzero"]
    assert mask.dtype == torch.uint8
    np.testing.assert_array_equal(mask.numpy(), (image != 0).numpy())
    np.testing.assert_array_equal(mask.affine, data["image"].affine)
    assert set(data) == {"image"}
