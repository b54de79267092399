"""FMG-Net and W-Net: U-Nets that climb from the bottleneck several times, as a multigrid solver cycles over its grids.

Celaya, Riviere, Fuentes: "FMG-Net and W-Net: Multigrid Inspired Deep Learning Architectures for Medical Imaging
Segmentation", arXiv 2304.02725. Kernels and strides follow patch and spacing as in nnU-Net; the width is constant.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetResBlock
from torch import nn

NORM = ("INSTANCE", {"affine": True})
ACTIVATION = ("leakyrelu", {"inplace": True, "negative_slope": 0.01})
SLOPE = 0.01


class MultigridNet(nn.Module):
    """A grid of blocks: levels are resolutions, and a path says in which order they are visited.

    The path goes down to the bottleneck, climbs to each of the heights and comes back, and climbs to the top. A block
    that is reached from above takes the block before it. A block that is reached from below takes three inputs, as far
    as they exist: the block before it, up-sampled; what was last seen on the way down at its level; and the summit of
    an earlier climb that turned round at its level and was not passed since.

    Args:
        in_channels: of the image.
        out_channels: classes.
        kernel_size: of the blocks of each level, full resolution first, three numbers each.
        strides: from the level above to each level, the first is 1, 1, 1.
        heights: levels above the bottleneck that each climb but the last reaches; FMG-Net: 1, 2, 3 …,
            W-Net: 1, 2, 1, 3, 1 …
        filters: width of every level.
        res_block: residual blocks instead of plain convolutions.
        summits_as_skips: a summit also takes the place of what was last seen on the way down at its level, so that the
            next climb that reaches it takes it twice, as in mist-medical.

    Without `heights` it is a plain U-Net of constant width.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
        heights: Sequence[int],
        filters: int = 32,
        res_block: bool = True,
        summits_as_skips: bool = False,
    ) -> None:
        super().__init__()
        self.summits_as_skips = summits_as_skips
        bottom = len(strides) - 1
        if len(kernel_size) != len(strides):
            raise ValueError(
                f"kernel_size names {len(kernel_size)} levels and strides {len(strides)}; expected as many."
            )
        if heights and (min(heights) < 1 or max(heights) > bottom):
            raise ValueError(f"heights are {list(heights)}; expected 1 to {bottom}, the levels above the bottleneck.")
        self.path = multigrid_path(bottom, heights)
        kind = UnetResBlock if res_block else UnetBasicBlock
        self.blocks = nn.ModuleList()
        self.upsamples = nn.ModuleList()
        summits: set[int] = set()
        for step, level in enumerate(self.path):
            if step == 0 or level > self.path[step - 1]:
                width, stride = (in_channels if step == 0 else filters), strides[level]
                kernel = kernel_size[level]
                summits.discard(level)
                self.upsamples.append(nn.Identity())
            else:
                width, stride = (3 if level in summits else 2) * filters, [1, 1, 1]
                kernel = kernel_size[level + 1]
                summits.discard(level)
                x, y, z = strides[level + 1]
                self.upsamples.append(nn.ConvTranspose3d(filters, filters, kernel_size=(x, y, z), stride=(x, y, z)))
                if self._turns(step):
                    summits.add(level)
            self.blocks.append(kind(3, width, filters, kernel, stride, NORM, ACTIVATION))
        self.output = nn.Conv3d(filters, out_channels, kernel_size=1)
        self.apply(_initialize)

    def _turns(self, step: int) -> bool:
        """Whether the path goes down again after this step up."""
        return step + 1 < len(self.path) and self.path[step + 1] > self.path[step]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (B, classes, X, Y, Z) of an image (B, channels, X, Y, Z)."""
        descents: dict[int, torch.Tensor] = {}
        summits: dict[int, torch.Tensor] = {}
        features = image
        for step, (level, block, upsample) in enumerate(zip(self.path, self.blocks, self.upsamples, strict=True)):
            if step == 0 or level > self.path[step - 1]:
                features = block(features)
                descents[level] = features
                summits.pop(level, None)
            else:
                inputs = [upsample(features), descents[level]]
                if level in summits:
                    inputs.append(summits.pop(level))
                features = block(torch.cat(inputs, dim=1))
                if self._turns(step):
                    summits[level] = features
                    if self.summits_as_skips:
                        descents[level] = features
        output: torch.Tensor = self.output(features)
        return output


def multigrid_path(bottom: int, heights: Sequence[int]) -> list[int]:
    """Levels in the order they are visited: 0 is full resolution, `bottom` the bottleneck."""
    path = list(range(bottom + 1))
    for height in heights:
        top = bottom - height
        path += [*range(bottom - 1, top - 1, -1), *range(top + 1, bottom + 1)]
    return [*path, *range(bottom - 1, -1, -1)]


def _initialize(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
