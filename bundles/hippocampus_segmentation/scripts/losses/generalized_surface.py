"""Generalized surface loss: a normalised sum of errors, weighted by the distance from the true surface."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .channels import Channels, Target, distance_maps_of, label_of

_SMALL = 1e-6


class GeneralizedSurfaceLoss(nn.Module):
    """Mean over foreground classes of 1 - sum (D (1 - (y + p)))^2 / sum D^2 (Celaya et al., arXiv 2302.03868).

    Between 0 and 1 for each class: unlike the boundary and Hausdorff losses it needs no balancing of scales.

    Args:
        regions, ignore_index, class_weights: see `Channels`.
    """

    def __init__(
        self,
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.channels = Channels(regions, ignore_index, class_weights)

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against {"label": (B, 1, X, Y, Z), "dtm": (B, C, X, Y, Z)}."""
        label, channels = label_of(target), self.channels
        scores, truth = channels.compare(logits, label)
        maps, valid = distance_maps_of(target, logits), channels.valid(label)
        maps = maps if valid is None else maps * valid
        right = channels.foreground((maps * (1 - (truth + scores))) ** 2).flatten(2).sum(dim=2)
        all_of_it = channels.foreground(maps**2).flatten(2).sum(dim=2)
        return channels.weighted_mean(1 - right / (all_of_it + _SMALL), foreground=True)
