"""Label values become class indices; unknown values are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.transforms.labels_to_indices import LabelsToIndicesd


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int16, np.int64])
def test_brats_labels_become_consecutive(dtype):
    values = np.random.default_rng(0).choice([0, 1, 2, 4], size=(1, 50, 60, 40)).astype(dtype)
    result = LabelsToIndicesd("label", [0, 1, 2, 4])({"label": MetaTensor(torch.from_numpy(values))})["label"]
    assert result.dtype == torch.uint8
    expected = values.copy()
    expected[values == 4] = 3
    np.testing.assert_array_equal(result.numpy(), expected)


def test_any_integers_in_any_order():
    labels = [0, 14175, -3, 300]
    values = np.array([[300, 0], [-3, 14175]], dtype=np.int32).reshape(1, 2, 2, 1)
    result = LabelsToIndicesd("label", labels)({"label": values})["label"]
    assert result.flatten().tolist() == [3, 0, 2, 1]


def test_more_than_256_labels_need_more_than_a_byte():
    values = np.arange(400, dtype=np.int16).reshape(1, 20, 20, 1)
    result = LabelsToIndicesd("label", list(range(400)))({"label": values})["label"]
    assert result.dtype == torch.int16
    np.testing.assert_array_equal(result.numpy(), values)


def test_unknown_values_are_named_with_the_file():
    values = np.array([0, 1, 7, 2.5, np.nan, np.inf, -9, 1.0002], dtype=np.float32).reshape(1, 8, 1, 1)
    label = MetaTensor(torch.from_numpy(values), meta={"filename_or_obj": "label_012.nii.gz"})
    with pytest.raises(
        ValueError, match=r"label_012.nii.gz\) holds -9, 2.5, 7, inf, nan, but the labels are \[0, 1, 2\]"
    ):
        LabelsToIndicesd("label", [0, 1, 2])({"label": label})


def test_many_unknown_values_are_counted():
    with pytest.raises(ValueError, match="and 90 more"):
        LabelsToIndicesd("label", [0, 1])({"label": np.arange(100).reshape(1, 10, 10, 1)})


def test_a_case_without_a_label_passes_when_allowed():
    assert LabelsToIndicesd("label", [0, 1], allow_missing_keys=True)({"image": 1}) == {"image": 1}
    with pytest.raises(KeyError):
        LabelsToIndicesd("label", [0, 1])({"image": 1})


@pytest.mark.parametrize("labels", [[], [0, 1, 1]])
def test_labels_must_differ(labels):
    with pytest.raises(ValueError, match="different"):
        LabelsToIndicesd("label", labels)


def test_background_and_labels_that_were_not_annotated_become_one_index():
    transform = LabelsToIndicesd("label", [0, 1, 2, 4], mixed={"2,4": 4, "1": 300})
    values = np.array([0, 1, 2, 4, 1, 0], dtype=np.uint8).reshape(1, 6, 1, 1)
    result = transform({"label": values, "unlabelled": "2,4"})["label"]
    assert result.flatten().tolist() == [4, 1, 4, 4, 1, 4]
    assert result.dtype == torch.uint8
    assert transform({"label": values, "unlabelled": "1"})["label"].flatten().tolist() == [300, 300, 2, 3, 300, 300]
    assert transform({"label": values})["label"].flatten().tolist() == [0, 1, 2, 3, 1, 0]
    with pytest.raises(ValueError, match="the labels 1,2 were not annotated in this case"):
        transform({"label": values, "unlabelled": "1,2"})
