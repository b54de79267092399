"""Soft Dice over all channels."""

from __future__ import annotations

import monai.losses
import torch

from .channels import ChannelLoss, Target, label_of

_DICE = monai.losses.DiceLoss(squared_pred=True, smooth_nr=1e-6, smooth_dr=1e-6, reduction="none")


class DiceLoss(ChannelLoss):
    """MONAI's Dice with squared terms, sum (y - p)^2 / (sum y^2 + sum p^2 + 1e-6), for classes or regions.

    After Milletari et al., 3DV 2016, in the form of MIST. Without any argument it is what
    `monai.losses.DiceLoss(softmax=True, to_onehot_y=True, squared_pred=True, smooth_nr=1e-6, smooth_dr=1e-6)` computes.

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        scores, truth = self.channels.compare(logits, label_of(target))
        return self.channels.weighted_mean(_DICE(scores, truth).flatten(1), known=self.known(target, logits))
