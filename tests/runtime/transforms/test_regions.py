"""Class indices as masks of regions, and voxels that nobody has labelled, before a prediction is scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mist_bundle.runtime.numerics.distance import distance_maps, signed_distance
from mist_bundle.runtime.transforms.ignore_voxels import IgnoreVoxelsd
from mist_bundle.runtime.transforms.label_to_regions import LabelToRegionsd


def test_masks_may_overlap_and_what_is_not_named_stays() -> None:
    label = torch.tensor([0, 1, 2, 3]).reshape(1, 4, 1, 1)
    result = LabelToRegionsd("label", [[1, 2, 3], [2], [3, 1]])({"label": label, "id": "a"})
    assert result["id"] == "a"
    assert result["label"].dtype == torch.uint8
    assert result["label"][:, :, 0, 0].tolist() == [[0, 1, 1, 1], [0, 0, 1, 0], [0, 1, 0, 1]]
    assert label.flatten().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("exclusive", [True, False])
def test_ignored_voxels_are_nothing_in_prediction_and_label(exclusive: bool) -> None:
    scores = torch.randn(3, 4, 1, 1)
    label = torch.tensor([0, 1, 9, 9]).reshape(1, 4, 1, 1)
    before = scores.clone()
    result = IgnoreVoxelsd(9, exclusive=exclusive)({"pred": scores, "label": label})
    assert result["label"].flatten().tolist() == [0, 1, 0, 0]
    certain = torch.softmax(result["pred"], 0) if exclusive else torch.sigmoid(result["pred"])
    nothing = [1.0, 0.0, 0.0] if exclusive else [0.0, 0.0, 0.0]
    assert certain[:, 2:, 0, 0].T.tolist() == [nothing, nothing]
    torch.testing.assert_close(result["pred"][:, :2], before[:, :2])
    torch.testing.assert_close(scores, before, msg="what came in is left as it is")


def test_maps_of_regions_are_the_distances_from_their_union() -> None:
    label = np.zeros((12, 10, 8), np.uint8)
    label[2:6, 2:6, 2:6], label[6:9, 2:6, 2:6] = 1, 2
    maps = distance_maps(label, 3, normalize=False, regions=[[1, 2], [2]])
    assert maps.shape == (2, 12, 10, 8)
    np.testing.assert_allclose(maps[0], signed_distance(label > 0), atol=1e-6)
    np.testing.assert_allclose(maps[1], signed_distance(label == 2), atol=1e-6)
