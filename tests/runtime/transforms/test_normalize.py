"""Normalisation by the image's own statistics or by those of the dataset."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.numerics.window import normalize_channel
from mist_bundle.runtime.transforms.normalize import WindowNormalized

WINDOW = [{"low": -100, "high": 300, "mean": 50, "std": 80}, {"low": 0, "high": 1, "mean": 0.5, "std": 0.25}]


def images():
    rng = np.random.default_rng(0)
    return np.stack([rng.normal(50, 200, (9, 9, 9)), rng.normal(0.5, 1, (9, 9, 9))]).astype(np.float32)


def test_dataset_statistics_are_applied_channel_by_channel():
    array = images()
    result = WindowNormalized("image", mode="dataset", window=WINDOW)({"image": MetaTensor(torch.from_numpy(array))})[
        "image"
    ]
    np.testing.assert_allclose(result[0].numpy(), (np.clip(array[0], -100, 300) - 50) / 80, atol=1e-6)
    np.testing.assert_allclose(result[1].numpy(), (np.clip(array[1], 0, 1) - 0.5) / 0.25, atol=1e-6)
    assert isinstance(result, MetaTensor)


def test_each_image_is_its_own_measure():
    array = images()
    result = WindowNormalized()({"image": array})["image"].numpy()
    for channel, source in zip(result, array, strict=True):
        np.testing.assert_array_equal(channel, normalize_channel(source))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["per_image", "dataset"])
def test_outside_the_mask_everything_is_zero(channels, mode):
    array = images()
    mask = np.zeros((channels, 9, 9, 9), dtype=np.uint8)
    mask[:, 2:7, 2:7, 2:7] = 1
    window = WINDOW if mode == "dataset" else None
    result = WindowNormalized(mode=mode, window=window, mask_key="nonzero")({"image": array, "nonzero": mask})
    values = result["image"].numpy()
    assert not values[np.broadcast_to(mask, values.shape) == 0].any()
    if mode == "per_image":
        np.testing.assert_allclose(values[0], normalize_channel(array[0], mask[0]))
    else:
        np.testing.assert_allclose(
            values[0, 2:7, 2:7, 2:7], (np.clip(array[0, 2:7, 2:7, 2:7], -100, 300) - 50) / 80, atol=1e-6
        )


def test_wrong_numbers_of_channels_and_wrong_modes_are_refused():
    with pytest.raises(ValueError, match="has 1 channels, but the plan holds windows for 2"):
        WindowNormalized(mode="dataset", window=WINDOW)({"image": images()[:1]})
    with pytest.raises(ValueError, match="mode must be"):
        WindowNormalized(mode="ct")
    with pytest.raises(ValueError, match="to that mode only"):
        WindowNormalized(mode="per_image", window=WINDOW)
    with pytest.raises(KeyError):
        WindowNormalized(mask_key="nonzero")({"image": images()})
