"""A region loss and a loss of another kind, weighted against each other."""

from __future__ import annotations

import torch
from torch import nn

from .channels import Target, label_of
from .composite_weighting import CompositeWeighting


class CompositeLoss(nn.Module):
    """share * region + (1 - share) * extra; a term whose share is 0 is not computed.

    Args:
        region: takes logits and class indices, for example Dice with cross-entropy.
        extra: takes logits and the whole target, distance maps included.
        weighting: says the share of the region term.
    """

    def __init__(self, region: nn.Module, extra: nn.Module, weighting: CompositeWeighting) -> None:
        super().__init__()
        self.region = region
        self.extra = extra
        self.weighting = weighting

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z), or {"label", "dtm"}."""
        share = self.weighting.share
        if share >= 1:
            return torch.as_tensor(self.region(logits, label_of(target)))
        extra = torch.as_tensor(self.extra(logits, target))
        return extra if share <= 0 else share * self.region(logits, label_of(target)) + (1 - share) * extra
