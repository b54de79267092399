"""Question and answer of a sizing rule: which network fits this patch, and what its layers look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mist_bundle.planning.topology import strides_product
from mist_bundle.runtime.numerics.triples import Triple


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeRequest:
    """Input of a sizing rule.

    Attributes:
        patch_size: voxels, X, Y, Z; already a size that the network takes.
        spacing_mm: spacing of the prepared grid.
        in_channels: image channels.
        out_channels: classes.
        filters: channels of each level, full resolution first; the last number serves all deeper levels.
        residual: whether blocks have a shortcut.
        kernel_size: size of the convolutions, for networks that leave it open.
        heads: desired auxiliary outputs.
    """

    patch_size: Triple
    spacing_mm: Sequence[float]
    in_channels: int
    out_channels: int
    filters: Sequence[int]
    residual: bool
    kernel_size: int
    heads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSize:
    """Result of a sizing rule.

    Attributes:
        arguments: arguments of the network.
        strides: stride of each level, full resolution first.
        widths: channels of each level; the last number is the bottleneck's.
        bottleneck: dotted name of the module that puts out the coarsest features.
        head_modules: dotted names of the modules at level 1, 2 … that an auxiliary head can be attached to; empty if
            the network has heads of its own.
        head_channels: channels that these modules put out.
        max_heads: largest possible number of heads.
    """

    arguments: dict[str, Any]
    strides: tuple[Triple, ...]
    widths: tuple[int, ...]
    bottleneck: str
    head_modules: tuple[str, ...] = ()
    head_channels: tuple[int, ...] = ()
    max_heads: int = 0

    @property
    def divisor(self) -> Triple:
        """The number of voxels that each patch axis must be a multiple of."""
        return strides_product(self.strides)
