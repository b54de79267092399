"""Each channel by its own scheme."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from monai.data import MetaTensor

from mist_bundle.runtime.transforms.normalize_by_scheme import NormalizeBySchemed


def test_channels_have_schemes_of_their_own_and_the_mask_stays_behind() -> None:
    image = np.random.default_rng(0).uniform(1, 9, (2, 4, 4, 4)).astype(np.float32)
    mask = np.zeros((1, 4, 4, 4), np.uint8)
    mask[0, :2] = 1
    schemes = [{"scheme": "zscore", "mask": True}, {"scheme": "none"}]
    case = NormalizeBySchemed("image", schemes)({"image": MetaTensor(image), "nonzero": MetaTensor(mask)})
    normalized = np.asarray(case["image"])
    np.testing.assert_allclose(normalized[0, :2].mean(), 0, atol=1e-6)
    np.testing.assert_array_equal(normalized[0, 2:], image[0, 2:])
    np.testing.assert_array_equal(normalized[1], image[1])
    assert "nonzero" not in case


@pytest.mark.parametrize(
    ("schemes", "message"),
    [
        ([{"scheme": "log"}], "Channel 0 has the scheme 'log'; expected one of zscore, window"),
        ([{"scheme": "window", "low": 0.0}], "The scheme of channel 0 lacks high, mean, std"),
    ],
)
def test_schemes_are_checked(schemes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NormalizeBySchemed("image", schemes)


def test_images_that_do_not_fit_are_named() -> None:
    image = MetaTensor(np.full((1, 2, 2, 2), 300.0), meta={"filename_or_obj": "a.nii.gz"})
    with pytest.raises(ValueError, match=r"a.nii.gz.* has 1 channels, but the model was trained with 2"):
        NormalizeBySchemed("image", [{"scheme": "none"}] * 2)({"image": image})
    with pytest.raises(ValueError, match=r"a.nii.gz.*channel 0: the values go from 300"):
        NormalizeBySchemed("image", [{"scheme": "bytes_to_one"}])({"image": image})
