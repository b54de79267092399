"""Dice plus focal loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from .channels import Channels, Target, label_of, spatial_mean
from .dice import DiceLoss


class DiceFocalLoss(DiceLoss):
    """Half Dice, half focal loss -(1 - p)^gamma log p (Lin et al., ICCV 2017), for classes or regions.

    Classes: p is the softmax probability of the voxel's class. (MONAI's DiceFocalLoss takes sigmoids there, which a
    network with softmax outputs does not have.) Regions: p is the sigmoid probability of what is true.

    Args:
        regions, ignore_index, class_weights, mixed: as for `ChannelLoss`.
        gamma: how much voxels that are right already are faded out.
    """

    def __init__(
        self,
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
        gamma: float = 2.0,
        mixed: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__(regions, ignore_index, class_weights, mixed)
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        label = label_of(target)
        return 0.5 * (super().forward(logits, label) + focal(self.channels, logits, label, self.gamma))


def focal(channels: Channels, logits: torch.Tensor, label: torch.Tensor, gamma: float) -> torch.Tensor:
    """Focal loss: over voxels a mean, over classes a sum (a single class is true) and over regions a mean."""
    truth, valid = channels.truth(label, logits), channels.valid(label)
    if channels.exclusive:
        log_scores = channels.log_scores(logits, label)
        voxels = -((1 - log_scores.exp()) ** gamma) * log_scores * truth
    else:
        log_right = functional.logsigmoid(torch.where(truth > 0, logits, -logits))
        voxels = -((1 - log_right.exp()) ** gamma) * log_right
    counted = voxels if valid is None else torch.where(valid, voxels, torch.zeros_like(voxels))
    known = channels.known(label, logits) if channels.mixed and not channels.exclusive else None
    mean = channels.weighted_mean(spatial_mean(counted, valid), known=known)
    return mean * logits.shape[1] if channels.exclusive else mean
