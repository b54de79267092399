"""One-sided Hausdorff loss: an error costs the square of its distance from the true surface."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.losses.hausdorff_one_sided import HausdorffOneSidedLoss

SHAPE = (1, 2, 5, 1, 1)
DISTANCES = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0]).view(1, 1, 5, 1, 1).expand(SHAPE)
LABEL = (DISTANCES[:, :1] <= 0).long()


def loss_of(places: list[int]) -> float:
    """With class 1 predicted for certain in these voxels only."""
    scores = torch.full((1, 1, 5, 1, 1), -50.0)
    scores[:, :, places] = 50.0
    return float(HausdorffOneSidedLoss()(torch.cat([-scores, scores], dim=1), {"label": LABEL, "dtm": DISTANCES}))


@pytest.mark.parametrize(
    ("places", "expected"),
    [([0, 1], 0.0), ([0, 1, 2], 1 / 5), ([0, 1, 4], 9 / 5), ([1], 1 / 5), ([0, 1, 3, 4], 13 / 5)],
)
def test_errors_cost_their_squared_distance(places: list[int], expected: float) -> None:
    assert loss_of(places) == pytest.approx(expected, abs=1e-6)
