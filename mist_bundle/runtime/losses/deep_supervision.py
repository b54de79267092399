"""Deep supervision: a single loss over all outputs that a network has in training.

By default, the weights halve from head to head (MIST, nnU-Net). They are divided by their sum, so the loss stays on the
scale of the loss of a single output.
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
        weights: of the outputs, the main output first; the first of them if there are fewer outputs. None: 1, 0.5, …
    """

    def __init__(self, loss: nn.Module, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.weights = None if weights is None else tuple(map(float, weights))

    def forward(self, prediction: torch.Tensor | list[torch.Tensor], target: Target) -> torch.Tensor:
        """Loss of an output (B, C, X, Y, Z), of stacked heads (B, heads, C, X, Y, Z), or of a list of outputs.

        The first head is the main output. Heads of lower resolution are enlarged to the target's shape, each in turn,
        by the nearest voxel (MIST, DynUNet): labels and distance maps are never reduced, which would lose small
        structures.
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
