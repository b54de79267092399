"""clDice: the centre lines of thin structures must lie inside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from monai.losses.cldice import soft_skel

from .channels import ChannelLoss, Target, label_of

_SMOOTH = 1.0


class CenterlineDiceLoss(ChannelLoss):
    """1 - 2 P S / (P + S), P and S the parts of each soft skeleton inside the other mask (Shit et al., CVPR 2021).

    Computed for each foreground class and sample, then averaged (MIST); MONAI's SoftclDiceLoss adds all classes up
    first, so that the largest decides. The skeletons are MONAI's.

    Args:
        regions, ignore_index, class_weights, mixed: as for `ChannelLoss`.
        iterations: erosions of the soft skeleton: half the width, in voxels, of the thickest structure.
    """

    def __init__(
        self,
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
        iterations: int = 10,
        mixed: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__(regions, ignore_index, class_weights, mixed)
        self.iterations = iterations

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        scores, truth = self.channels.compare(logits, label_of(target))
        scores, truth = self.channels.foreground(scores), self.channels.foreground(truth)
        precision = _share(soft_skel(scores, self.iterations), truth)
        sensitivity = _share(soft_skel(truth, self.iterations), scores)
        losses = 1 - 2 * precision * sensitivity / (precision + sensitivity)
        return self.channels.weighted_mean(losses, foreground=True, known=self.known(target, logits))


def _share(skeleton: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, C) part of a skeleton that lies inside a mask."""
    inside = (skeleton * mask).flatten(2).sum(dim=2)
    return (inside + _SMOOTH) / (skeleton.flatten(2).sum(dim=2) + _SMOOTH)
