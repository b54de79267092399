"""nnU-Net's U-Net with a deep residual encoder and a light decoder (the ResEnc presets).

Isensee et al., "nnU-Net Revisited", MICCAI 2024, arXiv 2404.09556. The layers of `ResidualEncoderUNet` in
dynamic-network-architectures 0.4, as nnU-Net plans it: ResNet-D blocks, instance normalisation, leaky ReLU, a single
convolution in each stage of the decoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..numerics.triples import triple

SLOPE = 0.01  # of the leaky ReLU
Size = Sequence[int]


class ResidualEncoderUNet(nn.Module):
    """U-Net with a residual encoder and a light decoder.

    Args:
        in_channels: of the image.
        out_channels: of the logits.
        kernel_size: of each level, full resolution first.
        strides: of each level; the first is usually 1.
        filters: channels of each level.
        blocks: residual blocks of each level of the encoder.
        deep_supervision: have outputs at coarser levels, which `SupervisedResidualEncoderUNet` returns in training.
        deep_supr_num: how many of them.
        res_block: blocks have a shortcut.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[Size],
        strides: Sequence[Size],
        filters: Sequence[int],
        blocks: Sequence[int],
        deep_supervision: bool = False,
        deep_supr_num: int = 1,
        res_block: bool = True,
    ) -> None:
        super().__init__()
        levels = len(strides)
        if not len(kernel_size) == len(filters) == len(blocks) == levels:
            raise ValueError("kernel_size, strides, filters and blocks must have an entry for each level.")
        self.stem = ConvNormAct(in_channels, filters[0], kernel_size[0], (1, 1, 1))
        encoder, channels = [], filters[0]
        for level in range(levels):
            width, kernel = filters[level], kernel_size[level]
            stage = nn.Sequential(ResidualBlock(channels, width, kernel, strides[level], shortcut=res_block))
            for _ in range(blocks[level] - 1):
                stage.append(ResidualBlock(width, width, kernel, (1, 1, 1), shortcut=res_block))
            encoder.append(stage)
            channels = width
        self.encoder = nn.ModuleList(encoder)
        ups, decoder = [], []
        for level in range(levels - 2, -1, -1):  # the coarsest first, in the order of computation
            stride = triple(strides[level + 1])
            ups.append(nn.ConvTranspose3d(filters[level + 1], filters[level], stride, stride))
            decoder.append(ConvNormAct(2 * filters[level], filters[level], kernel_size[level], (1, 1, 1)))
        self.ups = nn.ModuleList(ups)
        self.decoder = nn.ModuleList(decoder)
        self.output = nn.Conv3d(filters[0], out_channels, 1)
        self.heads = deep_supr_num if deep_supervision else 0
        self.deep_supervision_heads = nn.ModuleList()
        for level in range(1, self.heads + 1):
            self.deep_supervision_heads.append(nn.Conv3d(filters[level], out_channels, 1))
        self.apply(_initialise)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (B, C, X, Y, Z) of an image (B, channels, X, Y, Z)."""
        logits: torch.Tensor = self.output(self.decoded(image)[-1])
        return logits

    # written in what TorchScript understands
    def decoded(self, image: torch.Tensor) -> list[torch.Tensor]:
        """The features of each level of the decoder, the coarsest first and those of full resolution last."""
        features = self.stem(image)
        skips: list[torch.Tensor] = []
        for stage in self.encoder:
            features = stage(features)
            skips.append(features)
        skips.pop()
        decoded: list[torch.Tensor] = []
        for up, merge in zip(self.ups, self.decoder):  # noqa: B905  TorchScript knows no strict
            features = merge(torch.cat([up(features), skips.pop()], dim=1))
            decoded.append(features)
        return decoded


class SupervisedResidualEncoderUNet(ResidualEncoderUNet):
    """The same for training, with outputs of coarser levels; the weights have the same names."""

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:  # type: ignore[override]
        """Logits; in training with deep supervision a list, those of coarser levels after them, not enlarged."""
        decoded = self.decoded(image)
        logits: torch.Tensor = self.output(decoded[-1])
        if not (self.training and self.heads):
            return logits
        heads = [head(decoded[-2 - number]) for number, head in enumerate(self.deep_supervision_heads)]
        return [logits, *heads]


class ConvNormAct(nn.Module):
    """Convolution, instance normalisation and, with `activation`, leaky ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        *,
        bias: bool = True,
        activation: bool = True,
    ) -> None:
        super().__init__()
        x, y, z = kernel = triple(kernel_size)
        padding = ((x - 1) // 2, (y - 1) // 2, (z - 1) // 2)
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, triple(stride), padding, bias=bias)
        self.norm = nn.InstanceNorm3d(out_channels, eps=1e-5, affine=True)
        self.act = nn.LeakyReLU(SLOPE, inplace=True) if activation else nn.Identity()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, out_channels, …) of features (B, in_channels, …)."""
        result: torch.Tensor = self.act(self.norm(self.conv(features)))
        return result


class ResidualBlock(nn.Module):
    """ResNet-D's basic block: two convolutions, and a shortcut that averages where the block strides."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size, *, shortcut: bool = True
    ) -> None:
        super().__init__()
        self.conv1 = ConvNormAct(in_channels, out_channels, kernel_size, stride)
        self.conv2 = ConvNormAct(out_channels, out_channels, kernel_size, (1, 1, 1), activation=False)
        self.shortcut = shortcut
        skip: list[nn.Module] = []
        if shortcut and triple(stride) != (1, 1, 1):
            skip.append(nn.AvgPool3d(triple(stride), triple(stride)))
        if shortcut and in_channels != out_channels:
            skip.append(ConvNormAct(in_channels, out_channels, (1, 1, 1), (1, 1, 1), bias=False, activation=False))
        self.skip = nn.Sequential(*(skip or [nn.Identity()]))
        self.act = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, out_channels, …) of features (B, in_channels, …)."""
        changed: torch.Tensor = self.conv2(self.conv1(features))
        if self.shortcut:
            changed = changed + self.skip(features)
        result: torch.Tensor = self.act(changed)
        return result


def _initialise(module: nn.Module) -> None:
    """nnU-Net's initialisation: He normal for convolutions; residual blocks begin as their shortcut."""
    if isinstance(module, (nn.Conv3d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, ResidualBlock) and module.shortcut:
        nn.init.zeros_(module.conv2.norm.weight)
        nn.init.zeros_(module.conv2.norm.bias)
