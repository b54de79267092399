"""MONAI's DynUNet with auxiliary heads that stay at their own resolution until the loss looks at them.

MONAI enlarges every head to the size of the image and stacks them: with many classes that is the largest tensor of a
training step, copied once more. Here the heads are returned as they are; `DeepSupervisionLoss` enlarges each in turn.
"""

from __future__ import annotations

import torch
from monai.networks.nets import DynUNet


class SupervisedDynUNet(DynUNet):
    """DynUNet for training; arguments, names and values of the weights are MONAI's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits (B, C, X, Y, Z); in training with deep supervision a list, coarser heads after them."""
        logits: torch.Tensor = self.output_block(self.skip_layers(x))
        if self.training and self.deep_supervision:
            return [logits, *self.heads]
        return logits
