"""Deep supervision for networks that stack their auxiliary outputs, as MONAI's DynUNet does in training mode.

The weights halve from head to head and sum to one (MIST, nnU-Net), so the loss stays on the scale of the plain one.
"""

from __future__ import annotations

import torch
from torch import nn


class DeepSupervisionLoss(nn.Module):
    """Weighted mean of a loss over the heads of a network.

    Args:
        loss: takes logits (B, C, X, Y, Z) and the target (B, 1, X, Y, Z).
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, prediction: torch.Tensor | list[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        """Loss of one output (B, C, X, Y, Z), of stacked heads (B, heads, C, X, Y, Z), or of a list of outputs.

        The first head is the main output; all heads have the target's spatial shape.
        """
        if isinstance(prediction, torch.Tensor):
            stacked = prediction.ndim == target.ndim + 1
            heads = list(prediction.unbind(dim=1)) if stacked else [prediction]
        else:
            heads = list(prediction)
        weights = [0.5**index for index in range(len(heads))]
        total = torch.stack(
            [weight * self.loss(head, target) for weight, head in zip(weights, heads, strict=True)]
        ).sum()
        return total / sum(weights)
