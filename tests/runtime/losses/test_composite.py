"""The weighted sum of two terms; what has no weight is not computed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mist_bundle.runtime.losses.composite import CompositeLoss
from mist_bundle.runtime.losses.composite_weighting import CompositeWeighting


class Counting(nn.Module):
    """A loss of one value that notes what it was given."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value
        self.targets: list[object] = []

    def forward(self, logits: torch.Tensor, target: object) -> torch.Tensor:
        """The value, on the graph of the scores."""
        self.targets.append(target)
        return logits.sum() * 0 + self.value


@pytest.mark.parametrize(("share", "expected"), [(0.5, 3.0), (0.25, 3.5), (1.0, 2.0), (0.0, 4.0)])
def test_weighted_sum(share: float, expected: float) -> None:
    region, extra, weighting = Counting(2.0), Counting(4.0), CompositeWeighting()
    weighting.share = share
    target = {"label": torch.zeros(1, 1, 2, 2, 2), "dtm": torch.zeros(1, 3, 2, 2, 2)}
    loss = CompositeLoss(region, extra, weighting)(torch.zeros(1, 3, 2, 2, 2), target)
    assert float(loss) == expected
    assert len(region.targets) == (share > 0)
    assert len(extra.targets) == (share < 1)
    assert all(one is target["label"] for one in region.targets), "a plain loss knows no maps"
    assert all(one is target for one in extra.targets)
