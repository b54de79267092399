"""Boundary loss: probability far outside the true surface costs, probability deep inside pays."""

from __future__ import annotations

import torch

from .channels import ChannelLoss, Target, distance_maps_of, label_of, spatial_mean


class BoundaryLoss(ChannelLoss):
    """Mean of D p over the foreground classes, D the signed distance map (Kervadec et al., MedIA 2021).

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against {"label": (B, 1, X, Y, Z), "dtm": (B, C, X, Y, Z)}."""
        label, channels = label_of(target), self.channels
        scores, _ = channels.compare(logits, label)
        maps = distance_maps_of(target, logits)
        losses = spatial_mean(channels.foreground(maps * scores), channels.valid(label))
        return channels.weighted_mean(losses, foreground=True, known=self.known(target, logits))
