"""nnU-Net at half resolution inside, full resolution outside: blocks of voxels become channels, and back.

Few channels at full resolution are what a CPU computes worst: there, the convolutions of nnU-Net's first level take
more time than all other levels together. Folding each block of 2 x 2 x 2 voxels into eight channels loses nothing of
the image, and unfolding the output (sub-pixel convolution: Shi et al., CVPR 2016, arXiv 1609.05158) gives logits at
full resolution again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.nets import DynUNet
from torch import nn

from ..numerics.triples import triple


class SubpixelUNet(nn.Module):
    """MONAI's DynUNet between a folding and an unfolding.

    Args:
        in_channels: of the image.
        out_channels: classes.
        fold: voxels per block on X, Y, Z; the patch is a multiple of it.
        equal_start: the voxels of a block begin with equal logits (see `start_equal`).
        **arguments: of DynUNet, for the grid of blocks.
    """

    def __init__(
        self, in_channels: int, out_channels: int, fold: Sequence[int], equal_start: bool = True, **arguments: Any
    ) -> None:
        super().__init__()
        self.fold = triple(fold)
        block = math.prod(self.fold)
        self.body = DynUNet(in_channels=in_channels * block, out_channels=out_channels * block, **arguments)
        if equal_start:
            for layer in [self.body.output_block, *getattr(self.body, "deep_supervision_heads", [])]:
                start_equal(layer.conv.conv, block)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (B, C, X, Y, Z) of an image (B, channels, X, Y, Z); in training with heads (B, heads, C, X, Y, Z)."""
        blocks = fold_blocks(image, self.fold)
        if blocks.device.type == "cpu":  # oneDNN is faster in this layout (measured: a quarter of a step)
            blocks = blocks.contiguous(memory_format=torch.channels_last_3d)
        logits = self.body(blocks)
        if logits.ndim == blocks.ndim:
            return unfold_blocks(logits, self.fold)
        heads = [unfold_blocks(head, self.fold) for head in logits.unbind(dim=1)]
        return torch.stack(heads, dim=1)


def start_equal(layer: nn.Conv3d, block: int) -> None:
    """Set the weights of all output channels that become the voxels of a block to those of the first.

    Else each place in a block begins with a threshold of its own, and short trainings draw a dotted lattice along the
    borders of what they segment. After Aitken et al., "Checkerboard artifact free sub-pixel convolution",
    arXiv 1707.02937 (ICNR).

    Args:
        layer: puts out classes * block channels, the voxels of a block next to each other.
        block: voxels in a block.
    """
    with torch.no_grad():
        layer.weight.copy_(layer.weight[::block].repeat_interleave(block, dim=0))
        if layer.bias is not None:
            layer.bias.copy_(layer.bias[::block].repeat_interleave(block, dim=0))


def fold_blocks(volume: torch.Tensor, fold: tuple[int, int, int]) -> torch.Tensor:
    """(B, C, X, Y, Z) -> (B, C * blocksize, X / a, Y / b, Z / c) for blocks of a x b x c voxels."""
    # written in what TorchScript understands
    a, b, c = fold
    batch, channels, x, y, z = volume.shape
    split = volume.reshape([batch, channels, x // a, a, y // b, b, z // c, c])
    return split.permute([0, 1, 3, 5, 7, 2, 4, 6]).reshape([batch, channels * a * b * c, x // a, y // b, z // c])


def unfold_blocks(blocks: torch.Tensor, fold: tuple[int, int, int]) -> torch.Tensor:
    """The inverse of fold_blocks."""
    a, b, c = fold
    batch, channels, x, y, z = blocks.shape
    split = blocks.reshape([batch, channels // (a * b * c), a, b, c, x, y, z])
    return split.permute([0, 1, 5, 2, 6, 3, 7, 4]).reshape([batch, -1, x * a, y * b, z * c])
