"""All volumes of a case are cropped to the same box."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.numerics.crop import foreground_box
from mist_bundle.runtime.transforms.crop_to_foreground import CropToForegroundd
from tests.runtime.geometry import ORIENTATIONS, make_affine


def case():
    rng = np.random.default_rng(0)
    image = np.zeros((2, 20, 24, 18), dtype=np.float32)
    image[0, 4:12, 6:20, 3:15] = rng.normal(100, 10, size=(8, 14, 12))
    image[1, 5:9, 5:9, 5:9] = 1
    affine = torch.from_numpy(make_affine(ORIENTATIONS[13], (1, 2, 3), (5, 6, 7)))
    label = np.zeros((1, 20, 24, 18), dtype=np.uint8)
    label[0, 5, 7, 4] = 1
    return {
        "image": MetaTensor(torch.from_numpy(image), affine=affine),
        "label": MetaTensor(torch.from_numpy(label), affine=affine),
    }


def test_all_volumes_are_cropped_to_the_box_of_the_first_channel():
    data = case()
    result = CropToForegroundd()(data)
    box = foreground_box(data["image"].numpy()[0])
    assert box == ((4, 6, 3), (12, 20, 15))
    np.testing.assert_array_equal(result["image"].numpy(), data["image"].numpy()[:, 4:12, 6:20, 3:15])
    assert result["label"].numpy()[0, 1, 1, 1] == 1
    for volume in result.values():
        assert volume.meta["crop_box"] == [[4, 6, 3], [12, 20, 15]]
        np.testing.assert_allclose(
            volume.affine @ torch.tensor([0.0, 0, 0, 1]).double(),
            data["image"].affine @ torch.tensor([4.0, 6, 3, 1]).double(),
        )
        assert volume.meta["spatial_shape"].tolist() == [20, 24, 18]
        np.testing.assert_array_equal(volume.meta["original_affine"], data["image"].affine)


def test_another_channel_may_decide_and_the_label_may_be_missing():
    data = {"image": case()["image"]}
    whole = CropToForegroundd(keys=["image", "label"], source_channel=1, allow_missing_keys=True)(data)
    assert whole["image"].meta["crop_box"] == [[5, 5, 5], [9, 9, 9]]
    with pytest.raises(KeyError):
        CropToForegroundd()(data)


def test_a_label_of_another_shape_is_refused():
    data = case()
    data["label"] = data["label"][:, 1:]
    with pytest.raises(ValueError, match="share a grid"):
        CropToForegroundd()(data)
