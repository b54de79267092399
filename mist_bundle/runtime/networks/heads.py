"""Deep supervision for any network: extra outputs at coarser levels, there only while it is trained.

The network itself stays as it is, and so do the names of its weights: the bundle's inference uses it without the heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate

ATTRIBUTE = "auxiliary_heads"


def with_heads(network: nn.Module, modules: Sequence[str], channels: Sequence[int], out_channels: int) -> nn.Module:
    """Add an output to some of a network's modules; returns the network.

    In training it then returns a list: its own output, and an output of each module, brought to the same size. In
    evaluation it returns its own output alone. After Wang et al., "Training deeper convolutional networks with deep
    supervision", arXiv 1505.02496.

    Args:
        network: returns logits (B, C, X, Y, Z).
        modules: dotted names of modules of the network, the finest level first.
        channels: what each of them puts out.
        out_channels: classes.
    """
    heads = AuxiliaryHeads()
    for name, width in zip(modules, channels, strict=True):
        head = AuxiliaryHead(width, out_channels)
        network.get_submodule(name).register_forward_hook(head.capture)
        heads.append(head)
    network.register_forward_hook(heads.collect)
    network.add_module(ATTRIBUTE, heads)
    return network


class AuxiliaryHead(nn.Module):
    """A 1x1x1 convolution from the features of another module to logits."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(channels, out_channels, kernel_size=1)
        self._features: torch.Tensor | None = None

    # a method, not a closure: a deep copy of the network (the moving average of its weights) then captures its own
    def capture(self, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        """Forward hook of the module whose features are used."""
        del module, inputs
        if self.training:
            self._features = output

    def forward(self, size: torch.Size) -> torch.Tensor:
        """Logits (B, C, X, Y, Z) of the captured features, in another size (nearest neighbour, as in DynUNet)."""
        if self._features is None:
            raise RuntimeError("the module that this head belongs to has not run")
        logits = self.convolution(self._features)
        self._features = None
        return interpolate(logits, size)


class AuxiliaryHeads(nn.ModuleList):
    """All heads of a network."""

    def collect(
        self, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> list[torch.Tensor] | None:
        """Forward hook of the network: in training its output and those of the heads."""
        del module, inputs
        if not self.training:
            return None
        outputs = [head(output.shape[2:]) for head in self]
        return [output, *outputs]
