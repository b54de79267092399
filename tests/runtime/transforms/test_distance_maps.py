"""Distance maps on the grid of the label."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.numerics.distance import distance_maps
from mist_bundle.runtime.transforms.distance_maps import DistanceMapsd
from tests.runtime.geometry import two_organs


def test_the_maps_are_added_on_the_labels_grid():
    label = two_organs((14, 15, 16))
    affine = torch.diag(torch.tensor([2.0, 1, 3, 1]))
    data = {"label": MetaTensor(torch.from_numpy(label[None]), affine=affine)}
    result = DistanceMapsd(num_classes=4)(data)["dtm"]
    np.testing.assert_array_equal(result.numpy(), distance_maps(label, 4, normalize=True))
    np.testing.assert_array_equal(result.affine, affine)
    assert (result[3] == 1).all()
    in_mm = DistanceMapsd(num_classes=4, output_key="mm", normalize=False, use_spacing=True)(data)["mm"]
    np.testing.assert_array_equal(in_mm.numpy(), distance_maps(label, 4, normalize=False, spacing_mm=(2, 1, 3)))
