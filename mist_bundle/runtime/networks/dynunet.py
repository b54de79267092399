"""MONAI's DynUNet with nnU-Net's kernels, and with auxiliary heads that stay at their resolution for the loss.

MONAI enlarges every head to the size of the image and stacks them: with many classes that is the largest tensor of a
training step, copied once more. Here the heads are returned as they are; `DeepSupervisionLoss` enlarges each in turn.
"""

from __future__ import annotations

import torch
from monai.networks.blocks.dynunet_block import UnetUpBlock
from monai.networks.nets import DynUNet
from torch import nn


class SupervisedDynUNet(DynUNet):
    """DynUNet for training; arguments, names and values of the weights are MONAI's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits (B, C, X, Y, Z); in training with deep supervision a list, coarser heads after them."""
        logits: torch.Tensor = self.output_block(self.skip_layers(x))
        if self.training and self.deep_supervision:
            return [logits, *self.heads]
        return logits


class MatchedDynUNet(DynUNet):
    """DynUNet whose decoder has the kernels of its own levels, as nnU-Net's `PlainConvUNet`.

    MONAI's decoder takes those of the next coarser level, which differ where the slices of a case are far apart.
    Arguments and names of the weights are MONAI's.
    """

    def get_upsamples(self) -> nn.ModuleList:
        """The decoder, the coarsest level first."""
        decoder: nn.ModuleList = self.get_module_list(
            list(self.filters[1:][::-1]),
            list(self.filters[:-1][::-1]),
            self.kernel_size[:-1][::-1],
            self.strides[1:][::-1],
            UnetUpBlock,  # type: ignore[arg-type]  # MONAI's hint says a module where it takes a class
            self.upsample_kernel_size[::-1],
            trans_bias=self.trans_bias,
        )
        return decoder


class SupervisedMatchedDynUNet(MatchedDynUNet, SupervisedDynUNet):
    """MatchedDynUNet for training; names and values of the weights are the same."""
