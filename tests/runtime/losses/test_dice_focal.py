"""Focal loss: cross-entropy at gamma 0; above, voxels that are right already fade out."""

from __future__ import annotations

import math

import pytest
import torch

from mist_bundle.runtime.losses.channels import Channels
from mist_bundle.runtime.losses.dice_cross_entropy import DiceCrossEntropyLoss
from mist_bundle.runtime.losses.dice_focal import DiceFocalLoss, focal

from .samples import REGIONS, label_and_logits


@pytest.mark.parametrize("regions", [None, REGIONS], ids=["classes", "regions"])
def test_gamma_zero_is_cross_entropy(regions: list[list[int]] | None) -> None:
    label, logits = label_and_logits(3 if regions is None else len(regions))
    expected = DiceCrossEntropyLoss(regions)(logits, label)
    torch.testing.assert_close(DiceFocalLoss(regions, gamma=0.0)(logits, label), expected)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("right", [0.1, 0.5, 0.9])
def test_a_voxel_costs_what_the_formula_says(right: float, gamma: float) -> None:
    label = torch.ones((1, 1, 1, 1, 1), dtype=torch.long)
    logits = torch.tensor([0.0, math.log(right / (1 - right))]).double().view(1, 2, 1, 1, 1)
    expected = -((1 - right) ** gamma) * math.log(right)
    assert float(focal(Channels(), logits, label, gamma)) == pytest.approx(expected)
