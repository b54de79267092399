"""What a network costs to train, from its size alone: values kept for the backward pass, multiplications, parameters.

Every network of the menu is a sum over its levels: a level of w channels at 1/s of the voxels keeps a multiple of w / s
values for each voxel of the patch. The multiples stand in network_costs.json. `scripts/network_costs` finds them by
building networks of many sizes on torch's meta device and counting what autograd keeps; a test does that again for
every network. So a plan can be made without importing torch. Pure arithmetic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

from mist_bundle.catalog.choice import Choice
from mist_bundle.planning.network_size import NetworkSize
from mist_bundle.planning.sizing_rules import FIXED_STRIDES
from mist_bundle.resources import own_text

COSTS_JSON = "planning/network_costs.json"
SAVED, FLOPS, PARAMETERS = "saved", "flops", "parameters"
VAE = "vae"
# one width at every level changes the terms, not their multiples
WIDE = {
    "pocket_unet": "dynamic_unet",
    "pocket_subpixel_unet": "subpixel_unet",
    "pocket_attention_unet": "attention_unet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkCost:
    """Of one network, whatever the patch.

    Attributes:
        saved_values: kept for the backward pass, for each voxel of a patch.
        flops: of a pass forward, for each voxel of a patch; a multiplication and an addition are two.
        parameters: how many.
        widest: channels at full resolution, or what they amount to there.
    """

    saved_values: float
    flops: float
    parameters: float
    widest: float


def network_cost(
    name: str, row: Choice, size: NetworkSize, channels: tuple[int, int], *, residual: bool, vae: bool = False
) -> NetworkCost | None:
    """The cost of a network of the menu; None for the user's own, which nothing is known of.

    Args:
        name: of the row.
        row: of the catalogue.
        size: what its sizing rule answered.
        channels: of the image and of the output.
        residual: blocks with a shortcut.
        vae: with the branch that redraws the image.
    """
    coefficients = _table().get(cost_key(name, row, residual=residual))
    if coefficients is None:
        return None
    parts = {kind: _dot(coefficients[kind], terms(kind, row, size, channels)) for kind in (SAVED, FLOPS, PARAMETERS)}
    if vae:
        for kind in parts:
            parts[kind] += _dot(_table()[VAE][kind], vae_terms(size, channels[0]))
    return NetworkCost(
        saved_values=parts[SAVED],
        flops=parts[FLOPS],
        parameters=parts[PARAMETERS],
        widest=size.widths[0] * _shares(size)[0],
    )


def cost_key(name: str, row: Choice, *, residual: bool) -> str:
    """Networks whose topology follows the patch share their rule's costs; the others have their own."""
    base = name if row.sizing in FIXED_STRIDES else WIDE.get(row.sizing, row.sizing)
    return f"{base} residual" if residual and "residual" in row.takes else base


def terms(kind: str, row: Choice, size: NetworkSize, channels: tuple[int, int]) -> list[float]:
    """What the coefficients of a network are multiplied with.

    Args:
        kind: SAVED, FLOPS or PARAMETERS.
        row: of the catalogue.
        size: of the network.
        channels: of the image and of the output.
    """
    image, output = channels
    if row.sizing in FIXED_STRIDES:
        return [1.0, image, output]
    if kind == SAVED:
        return _saved_terms(row, size, image, output)
    shares = _shares(size) if kind == FLOPS else [1.0] * len(size.widths)
    return _kernel_terms(row, size, shares, (image * prod(size.strides[0]), output * prod(size.strides[0])))


def vae_terms(size: NetworkSize, image_channels: int) -> list[float]:
    """The same of the branch that redraws the image."""
    shares = _shares(size)
    levels = range(len(size.widths) - 1)
    return [sum(shares[level] * size.widths[level] for level in levels), float(image_channels)]


def _saved_terms(row: Choice, size: NetworkSize, image: int, output: int) -> list[float]:
    maps = [share * width for share, width in zip(_shares(size), size.widths, strict=True)]
    repeated = [value * count for value, count in zip(maps, blocks_per_level(row, size), strict=True)]
    return [sum(repeated[:-1]), repeated[-1], sum(maps[:-1]), maps[-1], image, output]


def _kernel_terms(row: Choice, size: NetworkSize, shares: Sequence[float], ends: tuple[int, int]) -> list[float]:
    """Weights of the convolutions of each kind, times their share of the voxels."""
    widths = size.widths
    kernels = _kernels(size)
    counts = blocks_per_level(row, size)
    last = len(widths) - 1
    same, decoder, down, up = 0.0, 0.0, 0.0, 0.0
    for level in range(last):
        same += shares[level] * kernels[level] * widths[level] ** 2 * counts[level]
        decoder += shares[level] * kernels[level + 1] * widths[level] ** 2
        down += shares[level + 1] * kernels[level + 1] * widths[level] * widths[level + 1]
        stride = prod(size.strides[level + 1])
        up += shares[level + 1] * stride * widths[level] * widths[level + 1]
    bottom = shares[last] * kernels[last] * widths[last] ** 2 * counts[last]
    image, output = ends
    first = shares[0] * image * widths[0] * kernels[0]
    return [same, decoder, down, up, bottom, first, shares[0] * output * widths[0]]


def blocks_per_level(row: Choice, size: NetworkSize) -> list[int]:
    """Blocks of each level on the way down; of a multigrid network, all visits of the level."""
    levels = len(size.strides)
    if row.sizing == "residual_encoder":
        return list(size.arguments["blocks"])
    visits = [1] * levels
    if "heights" not in size.arguments:
        return visits
    bottom = levels - 1
    for height in size.arguments["heights"]:
        top = bottom - height
        for level in range(top + 1, bottom):
            visits[level] += 2
        visits[top] += 1
        visits[bottom] += 1
    for level in range(bottom):
        visits[level] += 1
    return visits


def _shares(size: NetworkSize) -> list[float]:
    """Voxels of each level as a part of the patch's."""
    shares, reduction = [], 1
    for stride in size.strides:
        reduction *= prod(stride)
        shares.append(1 / reduction)
    return shares


def _kernels(size: NetworkSize) -> list[int]:
    kernels: Any = size.arguments.get("kernel_size")
    if isinstance(kernels, Sequence):
        return [prod(kernel) for kernel in kernels]
    return [27] * len(size.widths)


def _dot(coefficients: Sequence[float], values: Sequence[float]) -> float:
    return sum(coefficient * value for coefficient, value in zip(coefficients, values, strict=True))


@cache
def _table() -> Mapping[str, Mapping[str, Sequence[float]]]:
    content: dict[str, dict[str, list[float]]] = json.loads(own_text(COSTS_JSON))
    return content
