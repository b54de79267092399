"""Karimi's Hausdorff loss, with the distance maps of truth and prediction computed in each step."""

from __future__ import annotations

import torch
from monai.losses import HausdorffDTLoss

from .channels import ChannelLoss, Target, label_of

_HAUSDORFF = HausdorffDTLoss(alpha=2.0, include_background=True, reduction="none")


class HausdorffLoss(ChannelLoss):
    """Mean of (y - p)^2 (D_y^2 + D_p^2) over the foreground classes (Karimi et al., TMI 2019, eq. 8), by MONAI.

    D_p follows the prediction, so it is computed in each step for each class and sample, on the CPU: with large patches
    this is the slowest loss of all. `HausdorffOneSidedLoss` uses prepared maps instead.

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        label, channels = label_of(target), self.channels
        scores, truth = channels.compare(logits, label)
        losses = _HAUSDORFF(channels.foreground(scores), channels.foreground(truth)).flatten(1)
        valid = channels.valid(label)
        if valid is not None:  # MONAI's mean is over all voxels of a patch
            counted = valid.flatten(1).sum(dim=1, keepdim=True)
            losses = losses * valid[0].numel() / counted.clamp_min(1)
        return channels.weighted_mean(losses, foreground=True, known=self.known(target, logits))
