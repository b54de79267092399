"""Deep supervision: one loss over all the outputs that a network gives while training.

The weights halve from head to head and sum to one (MIST, nnU-Net), so the loss stays on the scale of the plain one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .channels import Target, label_of


class DeepSupervisionLoss(nn.Module):
    """Weighted mean of a loss over the heads of a network.

    Args:
        loss: takes logits (B, C, X, Y, Z) and the target as it came.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, prediction: torch.Tensor | list[torch.Tensor], target: Target) -> torch.Tensor:
        """Loss of one output (B, C, X, Y, Z), of stacked heads (B, heads, C, X, Y, Z), or of a list of outputs.

        The first head is the main output. Heads of lower resolution are enlarged to the target's shape: labels and
        distance maps, which would lose small structures, are never made smaller.
        """
        label = label_of(target)
        if isinstance(prediction, torch.Tensor):
            stacked = prediction.ndim == label.ndim + 1
            heads = list(prediction.unbind(dim=1)) if stacked else [prediction]
        else:
            heads = [_enlarged(head, label.shape[2:]) for head in prediction]
        weights = [0.5**index for index in range(len(heads))]
        total = torch.stack(
            [weight * self.loss(head, target) for weight, head in zip(weights, heads, strict=True)]
        ).sum()
        return total / sum(weights)


def _enlarged(head: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    if head.shape[2:] == shape:
        return head
    return functional.interpolate(head, size=tuple(shape), mode="trilinear", align_corners=False)
