"""One-sided Hausdorff loss: errors cost the square of their distance from the true surface."""

from __future__ import annotations

import torch

from .channels import ChannelLoss, Target, distance_maps_of, label_of, spatial_mean


class HausdorffOneSidedLoss(ChannelLoss):
    """Mean of (y - p)^2 D^2 over the foreground classes, D the truth's distance map (Karimi et al., TMI 2019).

    The maps come with the data, so it costs nothing while training, unlike `HausdorffLoss`.

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against {"label": (B, 1, X, Y, Z), "dtm": (B, C, X, Y, Z)}."""
        label, channels = label_of(target), self.channels
        scores, truth = channels.compare(logits, label)
        maps = distance_maps_of(target, logits)
        losses = spatial_mean(channels.foreground((truth - scores) ** 2 * maps**2), channels.valid(label))
        return channels.weighted_mean(losses, foreground=True, known=self.known(target, logits))
