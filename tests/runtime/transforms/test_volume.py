"""Values, grids and meta dictionaries in and out of MetaTensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.transforms import volume


def test_values_come_out_of_tensors_and_arrays_without_a_copy():
    array = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    for data in (array, torch.from_numpy(array), MetaTensor(torch.from_numpy(array))):
        values = volume.as_volume(data, "image")
        assert type(values) is np.ndarray
        assert np.shares_memory(values, array)
    assert volume.as_volume(torch.ones(1, 2, 2, 2, dtype=torch.bfloat16), "image").dtype == np.float32


def test_a_volume_without_channels_is_refused_by_name():
    data = MetaTensor(torch.zeros(3, 4, 5), meta={"filename_or_obj": "case_7.nii.gz"})
    with pytest.raises(ValueError, match=r"'image' \(case_7.nii.gz\) must have the axes"):
        volume.as_volume(data, "image")


def test_a_new_volume_has_the_meta_and_its_own_affine_and_no_record_of_operations():
    like = MetaTensor(
        torch.zeros(1, 2, 2, 2), affine=torch.eye(4), meta={"note": "kept"}, applied_operations=[{"x": 1}]
    )
    affine = np.diag([2.0, 3, 4, 1])
    new = volume.new_volume(np.ones((1, 3, 3, 3), dtype=np.uint8), like, affine, crop_box=[[0, 0, 0], [1, 1, 1]])
    assert new.meta["note"] == "kept"
    assert new.meta["crop_box"] == [[0, 0, 0], [1, 1, 1]]
    assert new.dtype == torch.uint8
    assert new.applied_operations == []
    np.testing.assert_array_equal(new.affine, affine)
    assert new.affine.dtype == torch.float64
    np.testing.assert_array_equal(like.affine, np.eye(4))
    assert "crop_box" not in like.meta


def test_the_original_grid_must_be_known():
    with pytest.raises(ValueError, match="LoadImaged"):
        volume.original_grid(torch.zeros(1, 2, 2, 2), "image")
    plain = np.zeros((1, 2, 3, 4), dtype=np.float32)
    remembered = volume.new_volume(plain, plain, **volume.remember_original_grid(plain, "image"))
    affine, shape = volume.original_grid(remembered, "image")
    assert shape == (2, 3, 4)
    np.testing.assert_array_equal(affine, np.eye(4))
    assert volume.remember_original_grid(remembered, "image") == {}


def test_volumes_of_different_shape_are_refused_by_name():
    data = {"image": np.zeros((2, 3, 4, 5)), "label": np.zeros((1, 3, 4, 6))}
    with pytest.raises(ValueError, match=r"'label' has \(3, 4, 6\)"):
        volume.check_same_shape(data, ["image", "label"])
    assert volume.check_same_shape(data, ["image"]) == (3, 4, 5)
