"""Image, label and mask on the spacing of the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.numerics import grid
from mist_bundle.runtime.numerics.resample import resample_image, resample_label, resample_nearest
from mist_bundle.runtime.transforms.resample import ResampleToSpacingd
from tests.runtime.geometry import ORIENTATIONS, make_affine, two_organs

TARGET = [1.5, 1.0, 1.25]


def case(affine=None):
    label = two_organs((20, 22, 16))
    image = np.stack([label * 10.0, label * -3.0]).astype(np.float32)
    affine = torch.from_numpy(make_affine(ORIENTATIONS[20], (1, 1.5, 1.1), (3, 4, 5)) if affine is None else affine)
    arrays = {"image": image, "label": label[None], "nonzero": (image != 0).astype(np.uint8)}
    return {key: MetaTensor(torch.from_numpy(array), affine=affine) for key, array in arrays.items()}


def test_each_volume_is_resampled_in_its_own_way_onto_one_grid():
    data = case()
    spacing = (1, 1.5, 1.1)
    result = ResampleToSpacingd(TARGET, num_classes=3)(data)
    np.testing.assert_array_equal(result["image"].numpy(), resample_image(data["image"].numpy(), spacing, TARGET))
    np.testing.assert_array_equal(
        result["label"].numpy()[0], resample_label(data["label"].numpy()[0], spacing, TARGET, 3)
    )
    np.testing.assert_array_equal(result["nonzero"].numpy(), resample_nearest(data["nonzero"].numpy(), spacing, TARGET))
    for volume in result.values():
        assert tuple(volume.shape[1:]) == (13, 33, 14)
        np.testing.assert_allclose(volume.pixdim, TARGET)
        np.testing.assert_allclose(volume.affine, result["image"].affine)
    centre = data["image"].affine.numpy() @ [9.5, 10.5, 7.5, 1]
    np.testing.assert_allclose(result["image"].affine.numpy() @ [6, 16, 6.5, 1], centre)
    assert (result["image"].dtype, result["label"].dtype, result["nonzero"].dtype) == (
        torch.float32,
        torch.uint8,
        torch.uint8,
    )


def test_missing_volumes_are_left_out():
    data = {"image": case()["image"], "id": "a"}
    result = ResampleToSpacingd(TARGET)(data)
    assert set(result) == {"image", "id"}
    assert ResampleToSpacingd(TARGET)({"id": "a"}) == {"id": "a"}


def test_the_right_spacing_changes_no_value():
    data = case(np.diag([1.5, 1.0, 1.25, 1.0]))
    result = ResampleToSpacingd(TARGET, num_classes=3)(data)
    for key, volume in result.items():
        np.testing.assert_array_equal(volume.numpy(), data[key].numpy())
        np.testing.assert_array_equal(volume.affine, data[key].affine)


def test_noise_in_the_labels_header_does_not_change_its_shape():
    # 21 voxels of 0.5 mm are 10.5 voxels of 1 mm: a hair decides between 10 and 11.
    image = MetaTensor(torch.zeros(1, 21, 21, 21), affine=torch.diag(torch.tensor([0.5, 0.5, 0.5, 1])))
    noisy = torch.diag(torch.tensor([0.4999, 0.5, 0.5, 1]).double())
    label = MetaTensor(torch.zeros(1, 21, 21, 21, dtype=torch.uint8), affine=noisy)
    result = ResampleToSpacingd([1, 1, 1], num_classes=2)({"image": image, "label": label})
    assert result["image"].shape == result["label"].shape == (1, 11, 11, 11)
    assert grid.resampled_length(21, 0.4999, 1.0) == 10


def test_a_label_read_as_float_is_taken_as_indices():
    data = case()
    data["label"] = data["label"].float()
    result = ResampleToSpacingd(TARGET)(data)
    assert not result["label"].dtype.is_floating_point
    np.testing.assert_array_equal(result["label"].numpy(), ResampleToSpacingd(TARGET)(case())["label"].numpy())


@pytest.mark.parametrize("spacing", [[1, 1], [1, 1, 0], [1, -1, 1]])
def test_a_spacing_that_is_none_is_refused(spacing):
    with pytest.raises(ValueError, match="three positive numbers"):
        ResampleToSpacingd(spacing)
