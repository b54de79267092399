from __future__ import annotations

import numpy as np
import pytest

from mist_bundle.runtime.transforms.missing_channels import MissingChannelsd


def test_missing_and_absent_channels_become_0_and_the_others_stay():
    image = np.arange(1.0, 25.0, dtype=np.float32).reshape(3, 2, 2, 2)
    transform = MissingChannelsd("image", ["t1", "t2", "flair"], absent=["flair"])
    result = transform({"image": image, "missing": "t2"})["image"]
    np.testing.assert_array_equal(result[0], image[0])
    assert not result[1:].any()
    assert image.all(), "the image itself stays"
    without = MissingChannelsd("image", ["t1", "t2", "flair"])({"image": image})["image"]
    np.testing.assert_array_equal(without, image)


def test_a_channel_that_the_model_does_not_have():
    with pytest.raises(ValueError, match="there is no channel adc; the channels are t1, t2"):
        MissingChannelsd("image", ["t1", "t2"], absent=["adc"])
