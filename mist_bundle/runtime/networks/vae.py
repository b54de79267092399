"""Regularisation by a variational autoencoder: a training branch that reconstructs the image from the bottleneck.

Myronenko: "3D MRI brain tumor segmentation using autoencoder regularization", BrainLes 2018, arXiv 1810.11654. MONAI
has the branch inside SegResNetVAE alone; here any network can have it, whatever its strides and widths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.blocks.segresnet_block import ResBlock
from torch import nn
from torch.nn.functional import interpolate, mse_loss

ATTRIBUTE = "vae_branch"
REDUCED_CHANNELS = 16


def with_vae(
    network: nn.Module,
    bottleneck: str,
    in_channels: int,
    patch_size: Sequence[int],
    strides: Sequence[Sequence[int]],
    widths: Sequence[int],
    latent_size: int = 128,
    reconstruction_weight: float = 0.1,
    kl_weight: float = 0.1,
) -> nn.Module:
    """Add the branch to a network; returns the network.

    In training it then returns {"heads": what it returned before, "penalty": a scalar to add to the loss}; see
    `RegularizedLoss`. In evaluation it returns its own output alone. The branch's weights begin with "vae_branch.".

    Args:
        network: to be regularised.
        bottleneck: dotted name of the module whose features the image is redrawn from.
        in_channels: of the image.
        patch_size: of the training patches, X, Y, Z.
        strides: from level to level of the network, full resolution first, three numbers each.
        widths: of the branch at each level; the last is what the bottleneck puts out.
        latent_size: length of the drawn vector.
        reconstruction_weight: of the mean squared error.
        kl_weight: of the divergence from the normal distribution.
    """
    branch = VAEBranch(
        in_channels,
        patch_size,
        strides,
        widths,
        latent_size=latent_size,
        reconstruction_weight=reconstruction_weight,
        kl_weight=kl_weight,
    )
    network.get_submodule(bottleneck).register_forward_hook(branch.capture)
    network.register_forward_hook(branch.collect)
    network.add_module(ATTRIBUTE, branch)
    return network


class VAEBranch(nn.Module):
    """From the bottleneck to a normal distribution, a draw from it, and back to the image; arguments as `with_vae`."""

    def __init__(
        self,
        in_channels: int,
        patch_size: Sequence[int],
        strides: Sequence[Sequence[int]],
        widths: Sequence[int],
        *,
        latent_size: int = 128,
        reconstruction_weight: float = 0.1,
        kl_weight: float = 0.1,
    ) -> None:
        super().__init__()
        if len(widths) != len(strides):
            raise ValueError(f"widths names {len(widths)} levels and strides {len(strides)}; expected as many.")
        self.reconstruction_weight = reconstruction_weight
        self.kl_weight = kl_weight
        self.sizes = _level_sizes(patch_size, strides)
        bottom, width = self.sizes[-1], widths[-1]
        self.reduced_size = _strided(bottom, (2, 2, 2))
        reduced_length = REDUCED_CHANNELS * math.prod(self.reduced_size)
        self.reduce = nn.Sequential(
            nn.GroupNorm(math.gcd(8, width), width),
            nn.ReLU(),
            nn.Conv3d(width, REDUCED_CHANNELS, kernel_size=3, stride=2, padding=1),
        )
        self.distribution = nn.Linear(reduced_length, 2 * latent_size)
        self.expand = nn.Sequential(nn.Linear(latent_size, reduced_length), nn.ReLU())
        self.widen = nn.Conv3d(REDUCED_CHANNELS, width, kernel_size=1)
        upwards = range(len(widths) - 1, 0, -1)  # from the bottleneck to full resolution
        self.narrow = nn.ModuleList()
        for level in upwards:
            self.narrow.append(nn.Conv3d(widths[level], widths[level - 1], kernel_size=1))
        self.refine = nn.ModuleList()
        for level in upwards:
            width = widths[level - 1]
            self.refine.append(ResBlock(3, width, norm=("GROUP", {"num_groups": math.gcd(8, width)})))
        self.image = nn.Conv3d(widths[0], in_channels, kernel_size=1)
        self._features: torch.Tensor | None = None

    # methods, not closures: a deep copy of the network (the moving average of its weights) then captures its own
    def capture(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        """Forward hook of the bottleneck."""
        del module, inputs
        if self.training:
            self._features = output

    def collect(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: Any) -> dict[str, Any] | None:
        """Forward hook of the network: in training its output with the penalty."""
        del module
        if not self.training:
            return None
        if self._features is None:
            raise RuntimeError("the bottleneck that the branch belongs to has not run")
        mean, log_variance = self.encode(self._features)
        self._features = None
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return {"heads": output, "penalty": self.penalty(inputs[0], self.decode(drawn), mean, log_variance)}

    def encode(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance, (B, latent) each, of bottleneck features (B, C, X, Y, Z)."""
        size = list(features.shape[2:])
        if size != self.sizes[-1]:
            expected = f"patches of {self.sizes[0]}, whose bottleneck is {self.sizes[-1]}, not {size}"
            raise ValueError(
                f"the VAE branch was built for {expected}. Set patch_size in train.json to the size you train with."
            )
        mean, log_variance = self.distribution(self.reduce(features).flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, drawn: torch.Tensor) -> torch.Tensor:
        """Image (B, channels, X, Y, Z) from a drawn vector (B, latent)."""
        features = self.expand(drawn).unflatten(1, (REDUCED_CHANNELS, *self.reduced_size))
        features = _resize(self.widen(features), self.sizes[-1])
        for narrow, refine, size in zip(self.narrow, self.refine, self.sizes[-2::-1], strict=True):
            features = refine(_resize(narrow(features), size))
        image: torch.Tensor = self.image(features)
        return image

    def penalty(
        self, image: torch.Tensor, redrawn: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor
    ) -> torch.Tensor:
        """Weighted sum of reconstruction error and divergence, a scalar; the divergence is per voxel (paper)."""
        reconstruction = mse_loss(redrawn.float(), image.float())
        divergence = (mean**2 + log_variance.exp() - log_variance - 1).sum(dim=1).mean() / math.prod(self.sizes[0])
        return self.reconstruction_weight * reconstruction + self.kl_weight * divergence


def _level_sizes(patch_size: Sequence[int], strides: Sequence[Sequence[int]]) -> list[list[int]]:
    sizes = []
    size = list(map(int, patch_size))
    for stride in strides:
        size = _strided(size, stride)
        sizes.append(size)
    return sizes


def _strided(size: Sequence[int], stride: Sequence[int]) -> list[int]:
    """The size after a strided convolution, rounded up."""
    return [math.ceil(axis / step) for axis, step in zip(size, stride, strict=True)]


def _resize(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return interpolate(features, list(size), mode="trilinear", align_corners=False)
