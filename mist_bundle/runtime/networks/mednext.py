"""MedNeXt whose up-sampling computes every voxel, as mist-medical builds it.

Roy et al., "MedNeXt: Transformer-driven Scaling of ConvNets for Medical Image Segmentation", MICCAI 2023, arXiv
2303.09975. A transposed convolution of stride 2 makes 2 n - 1 voxels of n. The authors and MONAI put zeros before
them, which shifts what was computed by a voxel; `output_padding` lets it compute one more behind them.
"""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.nets import MedNeXt
from torch import nn


class CompleteMedNeXt(MedNeXt):
    """MONAI's MedNeXt with a choice of the up-sampling.

    Args:
        padded_upsampling: put zeros before what is up-sampled, as MONAI's MedNeXt does, instead of computing all of it.
        arguments: as for ``monai.networks.nets.MedNeXt``, without `global_resp_norm`. Names and shapes of the weights
            are MONAI's.
    """

    def __init__(self, *, padded_upsampling: bool = True, **arguments: Any) -> None:
        super().__init__(**arguments)
        if not padded_upsampling:
            self.up_blocks = nn.ModuleList([CompleteUpBlock(block) for block in self.up_blocks])


class CompleteUpBlock(nn.Module):
    """The layers of MONAI's `MedNeXtUpBlock`, (B, C, X, Y, Z) to (B, C', 2 X, 2 Y, 2 Z), without its padding.

    Args:
        block: of MONAI, whose layers are taken over.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        if block.global_resp_norm:
            raise ValueError("global_resp_norm is on; expected a MedNeXt without it where padded_upsampling is off.")
        self.conv1, self.norm, self.conv2, self.act = block.conv1, block.norm, block.conv2, block.act
        self.conv3 = block.conv3
        self.res_conv = block.res_conv if block.resample_do_res else None
        for layer in (self.conv1, self.res_conv):
            if isinstance(layer, nn.ConvTranspose3d):
                layer.output_padding = (1, 1, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features at twice the resolution."""
        expanded = self.act(self.conv2(self.norm(self.conv1(features))))
        output: torch.Tensor = self.conv3(expanded)
        return output if self.res_conv is None else output + self.res_conv(features)
