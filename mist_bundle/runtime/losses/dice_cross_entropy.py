"""Dice plus cross-entropy, the region term of most losses here."""

from __future__ import annotations

import torch
from torch.nn import functional

from .channels import Channels, Target, label_of, spatial_mean
from .dice import DiceLoss


class DiceCrossEntropyLoss(DiceLoss):
    """Half Dice, half cross-entropy (MIST's default), for classes or regions.

    Classes: torch's cross-entropy, weighted as torch does (a mean that the weights of the voxels' classes add up to).
    Regions: binary cross-entropy of each region, which a softmax would get wrong.

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        label = label_of(target)
        return 0.5 * (super().forward(logits, label) + cross_entropy(self.channels, logits, label))


def cross_entropy(channels: Channels, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over the voxels that count; 0 where none does."""
    valid = channels.valid(label)
    if not channels.exclusive:
        truth = channels.truth(label, logits)
        voxels = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        counted = voxels if valid is None else torch.where(valid, voxels, torch.zeros_like(voxels))
        known = channels.known(label, logits) if channels.mixed else None
        return channels.weighted_mean(spatial_mean(counted, valid), known=known)
    if channels.mixed:
        return _marginal_cross_entropy(channels, logits, label, valid)
    weights = channels.weights(logits)
    indices = label[:, 0].long()
    if valid is None:
        return functional.cross_entropy(logits, indices, weight=weights)
    ignored = int(channels.ignore_index or 0)
    total = functional.cross_entropy(logits, indices, weight=weights, ignore_index=ignored, reduction="sum")
    if weights is None:
        return total / valid.sum().clamp_min(1)
    # torch's own mean is 0/0 in a patch where nothing is labelled
    known = torch.where(valid[:, 0], indices, torch.zeros_like(indices))
    share = torch.where(valid[:, 0], weights[known], torch.zeros_like(weights[known])).sum()
    return total / share.clamp_min(torch.finfo(logits.dtype).tiny)


def _marginal_cross_entropy(
    channels: Channels, logits: torch.Tensor, label: torch.Tensor, valid: torch.Tensor | None
) -> torch.Tensor:
    """Cross-entropy of classes in which a voxel may have any of several; weighted as torch's is."""
    share = channels.truth(label, logits)
    if valid is not None:
        share = share * valid
    weights = channels.weights(logits)
    if weights is not None:
        share = share * weights.view(1, -1, 1, 1, 1)
    # a selection: the logarithm of an impossible class is infinite, and 0 times that no number
    log_scores = channels.log_scores(logits, label)
    counted = torch.where(share > 0, log_scores, torch.zeros_like(log_scores))
    return -(counted * share).sum() / share.sum().clamp_min(torch.finfo(logits.dtype).tiny)
