"""Blob loss: every instance counts the same, so that a large lesion does not hide the small ones."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from .channels import ChannelLoss, Target, label_of

_SMOOTH = 1e-6
_ALL_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)


class BlobDiceLoss(ChannelLoss):
    """Mean over instances of the Dice loss of one instance, as if the others were not there (Kofler et al., IPMI 2023).

    An instance is a component of a foreground channel's truth, connected by faces, edges or corners, in the patch as it
    is. For each of them, the voxels of the other instances are taken out of scores and truth; the background remains,
    so false positives count in each. With squared terms, as `DiceLoss` has them. The mean is taken over the instances
    of a channel, then over the channels and samples that have instances; where none has, the loss is 0.

    Use it as the extra term of a composite: alone it would not say anything about patches without instances.

    Arguments as for `ChannelLoss`.
    """

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        scores, truth = self.channels.compare(logits, label_of(target))
        scores, truth = self.channels.foreground(scores), self.channels.foreground(truth)
        weights = self.channels.weights(scores)
        if weights is not None:
            weights = weights[-scores.shape[1] :]  # without the background's, as its channel
        losses = []
        weight_of_each = []
        for sample_scores, sample_truth in zip(scores, truth, strict=True):
            for channel, (channel_scores, channel_truth) in enumerate(zip(sample_scores, sample_truth, strict=True)):
                instances, count = _instances(channel_truth)
                if count:
                    losses.append(_mean_loss(channel_scores, instances, count))
                    weight_of_each.append(1.0 if weights is None else weights[channel])
        if not losses:
            return scores.sum() * 0
        weighting = torch.as_tensor(weight_of_each, dtype=scores.dtype, device=scores.device)
        return (torch.stack(losses) * weighting).mean()


def _instances(truth: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The number of each voxel's instance, 0 for none, and how many there are."""
    numbers, count = ndimage.label(truth.detach().cpu().numpy() > 0, structure=_ALL_NEIGHBOURS)
    return torch.from_numpy(numbers.astype(np.int64)).to(truth.device), int(count)


def _mean_loss(scores: torch.Tensor, instances: torch.Tensor, count: int) -> torch.Tensor:
    """Sums for each instance and for the background give the Dice of all instances in a single pass."""
    flat = instances.flatten()
    values = scores.flatten()
    sizes = torch.bincount(flat, minlength=count + 1).to(values.dtype)
    squares = values.new_zeros(count + 1).index_add(0, flat, values.square())
    missed = values.new_zeros(count + 1).index_add(0, flat, (1 - values).square())
    background, squares = squares[0], squares[1:]
    losses = (background + missed[1:]) / (sizes[1:] + background + squares + _SMOOTH)
    return losses.mean()
