"""Generalized surface loss: a normalised sum of errors, weighted by the distance from the true surface."""

from __future__ import annotations

import torch

from .channels import ChannelLoss, Target, distance_maps_of, label_of

_SMALL = 1e-6


class GeneralizedSurfaceLoss(ChannelLoss):
    """Mean over foreground classes of 1 - sum (D (1 - (y + p)))^2 / sum D^2 (Celaya et al., arXiv 2302.03868).

    Between 0 and 1 for each class: unlike the boundary and Hausdorff losses it needs no balancing of scales.

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against {"label": (B, 1, X, Y, Z), "dtm": (B, C, X, Y, Z)}."""
        label, channels = label_of(target), self.channels
        scores, truth = channels.compare(logits, label)
        maps, valid = distance_maps_of(target, logits), channels.valid(label)
        maps = maps if valid is None else maps * valid
        right = channels.foreground((maps * (1 - (truth + scores))) ** 2).flatten(2).sum(dim=2)
        total = channels.foreground(maps**2).flatten(2).sum(dim=2)
        return channels.weighted_mean(1 - right / (total + _SMALL), foreground=True, known=self.known(target, logits))
