"""Reorientation is MONAI's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientationd

from mist_bundle.runtime.transforms.orientation import Reorientd, ReorientToLPSd
from tests.runtime.geometry import ORIENTATIONS, make_affine


@pytest.mark.parametrize("orientation", ORIENTATIONS[::3])
@pytest.mark.parametrize("space", ["RAS", "LPS"])
def test_it_is_monais_orientation(orientation, space):
    affine = torch.from_numpy(make_affine(orientation, (1, 2, 3), (4, 5, 6)))
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
    image = MetaTensor(values, affine=affine, meta={"space": space})
    expected = Orientationd("image", axcodes="LPS", labels=None)({"image": image})["image"]
    result = ReorientToLPSd("image")({"image": image})["image"]
    np.testing.assert_array_equal(result.numpy(), expected.numpy())
    np.testing.assert_allclose(result.affine, expected.affine, atol=1e-9)
    assert result.meta["spatial_shape"].tolist() == [3, 4, 5]


def test_other_orientations():
    image = MetaTensor(torch.arange(24.0).reshape(1, 2, 3, 4), affine=make_affine(ORIENTATIONS[7], (1, 2, 3)))
    expected = Orientationd("image", axcodes="RAS", labels=None)({"image": image})["image"]
    result = Reorientd("image", axcodes="RAS")({"image": image})["image"]
    np.testing.assert_array_equal(result.numpy(), expected.numpy())
    np.testing.assert_allclose(result.affine, expected.affine, atol=1e-9)


def test_missing_keys():
    with pytest.raises(KeyError):
        ReorientToLPSd()({"image": np.zeros((1, 2, 2, 2))})
    assert set(ReorientToLPSd(allow_missing_keys=True)({"image": np.zeros((1, 2, 2, 2))})) == {"image"}
