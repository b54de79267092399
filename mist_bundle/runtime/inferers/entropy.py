"""How uncertain class probabilities are."""

from __future__ import annotations

import math

import torch


def entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Entropy over the classes of (B, C, …), divided by log C: (B, 1, …), 0 for certain, 1 for all classes alike."""
    classes = probabilities.shape[1]
    result = torch.zeros_like(probabilities[:, :1])
    for index in range(classes):
        channel = probabilities[:, index : index + 1]
        result.sub_(torch.xlogy(channel, channel))
    return result.div_(math.log(max(2, classes)))


def region_entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Mean over regions (B, C, …) that may overlap of the entropy of being inside or not, in units of log 2."""
    regions = probabilities.shape[1]
    result = torch.zeros_like(probabilities[:, :1])
    for index in range(regions):
        inside = probabilities[:, index : index + 1]
        result.sub_(torch.xlogy(inside, inside)).sub_(torch.xlogy(1 - inside, 1 - inside))
    return result.div_(math.log(2) * regions)
