"""Boundary loss: probability outside costs its distance from the true surface, probability inside pays."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.losses.boundary import BoundaryLoss

SHAPE = (1, 2, 5, 1, 1)
DISTANCES = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).view(1, 1, 5, 1, 1).expand(SHAPE)
LABEL = (DISTANCES[:, :1] <= 0).long()


def loss_of(places: list[int]) -> float:
    """With class 1 predicted for certain in these voxels only."""
    scores = torch.full((1, 1, 5, 1, 1), -50.0)
    scores[:, :, places] = 50.0
    return float(BoundaryLoss()(torch.cat([-scores, scores], dim=1), {"label": LABEL, "dtm": DISTANCES}))


@pytest.mark.parametrize(("places", "expected"), [([], 0.0), ([4], 2 / 5), ([0], -2 / 5), ([0, 1, 2], -3 / 5)])
def test_mean_of_distance_times_probability(places: list[int], expected: float) -> None:
    assert loss_of(places) == pytest.approx(expected, abs=1e-6)


def test_the_true_mask_is_best() -> None:
    assert loss_of([0, 1, 2]) < min(loss_of([0]), loss_of([0, 1, 2, 3]))


def test_distance_maps_are_required() -> None:
    with pytest.raises(ValueError, match="needs distance maps"):
        BoundaryLoss()(torch.zeros(SHAPE), LABEL)
