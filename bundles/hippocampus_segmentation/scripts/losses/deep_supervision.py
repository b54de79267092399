"""Deep supervision: one loss over all the outputs that a network gives while training.

Unless others are asked for, the weights halve from head to head (MIST, nnU-Net). They are divided by their sum, so the
loss stays on the scale of the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .channels import Target, label_of


class DeepSupervisionLoss(nn.Module):
    """Weighted mean of a loss over the heads of a network.

    Args:
        loss: takes logits (B, C, X, Y, Z) and the target as it came.
        weights: of the outputs, the main one first, with which it begins where there are fewer; None halves them.
    """

    def __init__(self, loss: nn.Module, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.weights = None if weights is None else tuple(float(weight) for weight in weights)

    def forward(self, prediction: torch.Tensor | list[torch.Tensor], target: Target) -> torch.Tensor:
        """Loss of one output (B, C, X, Y, Z), of stacked heads (B, heads, C, X, Y, Z), or of a list of outputs.

        The first head is the main output. Heads of lower resolution are enlarged to the target's shape, one at a time,
        by the nearest voxel (MIST, DynUNet): labels and distance maps, which would lose small structures, are never
        made smaller.
        """
        label = label_of(target)
        if isinstance(prediction, torch.Tensor):
            stacked = prediction.ndim == label.ndim + 1
            heads = list(prediction.unbind(dim=1)) if stacked else [prediction]
        else:
            heads = list(prediction)
        weights = self._weights(len(heads))
        losses = []
        for weight, head in zip(weights, heads, strict=True):
            losses.append(weight * self.loss(_enlarged(head, label.shape[2:]), target))
        return torch.stack(losses).sum() / sum(weights)

    def _weights(self, count: int) -> tuple[float, ...]:
        if self.weights is None:
            return tuple(0.5**index for index in range(count))
        if count > len(self.weights):
            raise ValueError(f"{len(self.weights)} weights for {count} outputs of the network.")
        return self.weights[:count]


def _enlarged(head: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    if head.shape[2:] == shape:
        return head
    return functional.interpolate(head, size=tuple(shape), mode="nearest")
