"""Generalized Dice: small classes count as much as large ones."""

from __future__ import annotations

import torch

from .channels import ChannelLoss, Target, label_of

_SMOOTH = 1e-5  # MONAI's


class GeneralizedDiceLoss(ChannelLoss):
    """1 - 2 sum_k w_k sum y p / sum_k w_k sum (y + p) with w_k = 1 / (sum y)^2 (Sudre et al., DLMIA 2017).

    A class that a sample lacks takes the largest weight of the sample. Without any argument it is what
    `monai.losses.GeneralizedDiceLoss(softmax=True, to_onehot_y=True)` computes; class weights, which MONAI
    does not know, multiply w_k.

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        scores, truth = self.channels.compare(logits, label_of(target))
        scores, truth = scores.flatten(2), truth.flatten(2)
        volumes = truth.sum(dim=2)
        present = volumes > 0
        weights = torch.where(present, volumes.clamp_min(1) ** -2, torch.zeros_like(volumes))
        weights = torch.where(present, weights, weights.max(dim=1, keepdim=True).values)
        known = self.known(target, logits)
        if known is not None:
            weights = torch.where(known, weights, torch.zeros_like(weights))
        class_weights = self.channels.weights(weights)
        if class_weights is not None:
            weights = weights * class_weights
        overlap = (weights * (scores * truth).sum(dim=2)).sum(dim=1)
        total = (weights * (scores.sum(dim=2) + volumes)).sum(dim=1)
        return (1 - (2 * overlap + _SMOOTH) / (total + _SMOOTH)).mean()
