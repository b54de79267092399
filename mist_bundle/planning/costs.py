"""The cost of training a network, from its size alone: values kept for the backward pass, operations, parameters.

The cost of every network of the menu is a sum over its levels: a level of w channels at 1/s of the voxels keeps a
multiple of w / s values for each voxel of the patch. The multiples are in network_costs.json. `scripts/network_costs`
determines them by building networks of many sizes on torch's meta device and counting what autograd keeps, and a test
repeats that for every network. Planning thus needs no torch. Pure arithmetic.
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
# equal width at every level changes the terms, not their multiples
WIDE = {
    "pocket_unet": "dynamic_unet",
    "pocket_subpixel_unet": "subpixel_unet",
    "pocket_attention_unet": "attention_unet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkCost:
    """Cost of a network, independent of the patch size.

    Attributes:
        saved_values: values kept for the backward pass, per voxel of a patch.
        flops: operations of a forward pass, per voxel of a patch; a multiplication and an addition count as two.
        parameters: number of parameters.
        widest: channels at full resolution, or their equivalent there.
    """

    saved_values: float
    flops: float
    parameters: float
    widest: float


def network_cost(
    name: str, row: Choice, size: NetworkSize, channels: tuple[int, int], *, residual: bool, vae: bool = False
) -> NetworkCost | None:
    """Return the cost of a network of the menu; None for the user's own networks.

    Args:
        name: name of the row.
        row: row of the catalogue.
        size: result of its sizing rule.
        channels: channels of the image and of the output.
        residual: whether blocks have a shortcut.
        vae: whether the network has the branch that reconstructs the image.
    """
    coefficients = _table().get(cost_key(name, row, residual=residual))
    if coefficients is None:
        return None
    parts: dict[str, float] = {}
    for kind in (SAVED, FLOPS, PARAMETERS):
        parts[kind] = _dot(coefficients[kind], terms(kind, row, size, channels))
        if vae:
            parts[kind] += _dot(_table()[VAE][kind], vae_terms(size, channels[0]))
    return NetworkCost(
        saved_values=parts[SAVED],
        flops=parts[FLOPS],
        parameters=parts[PARAMETERS],
        widest=size.widths[0] * _shares(size)[0],
    )


def loss_values(name: str, outputs: int) -> float:
    """What a loss keeps for each voxel of each of its heads; the user's own is taken for the costliest kind of Dice."""
    constant, each = _table().get(loss_key(name), _table()[loss_key("dice_focal")])[SAVED]
    return constant + each * outputs


def loss_key(name: str) -> str:
    """A loss, in the table of costs."""
    return f"loss {name}"


def cost_key(name: str, row: Choice, *, residual: bool) -> str:
    """Return the key of a network in the table; networks of the same sizing rule share their costs."""
    base = name if row.sizing in FIXED_STRIDES else WIDE.get(row.sizing, row.sizing)
    return f"{base} residual" if residual and "residual" in row.takes else base


def terms(kind: str, row: Choice, size: NetworkSize, channels: tuple[int, int]) -> list[float]:
    """Return the terms that the coefficients of a network multiply.

    Args:
        kind: SAVED, FLOPS or PARAMETERS.
        row: row of the catalogue.
        size: result of its sizing rule.
        channels: channels of the image and of the output.
    """
    image, output = channels
    if row.sizing in FIXED_STRIDES:
        return [1.0, image, output]
    if kind == SAVED:
        return _saved_terms(row, size, image, output)
    shares = _shares(size) if kind == FLOPS else [1.0] * len(size.widths)
    return _kernel_terms(row, size, shares, (image * prod(size.strides[0]), output * prod(size.strides[0])))


def vae_terms(size: NetworkSize, image_channels: int) -> list[float]:
    """Return the terms of the branch that reconstructs the image."""
    features = 0.0
    for share, width in zip(_shares(size)[:-1], size.widths[:-1], strict=True):
        features += share * width
    return [features, float(image_channels)]


def _saved_terms(row: Choice, size: NetworkSize, image: int, output: int) -> list[float]:
    maps: list[float] = []
    repeated: list[float] = []
    for share, width, blocks in zip(_shares(size), size.widths, blocks_per_level(row, size), strict=True):
        maps.append(share * width)
        repeated.append(share * width * blocks)
    return [sum(repeated[:-1]), repeated[-1], sum(maps[:-1]), maps[-1], image, output]


def _kernel_terms(row: Choice, size: NetworkSize, shares: Sequence[float], ends: tuple[int, int]) -> list[float]:
    """Numbers of weights of each kind of convolution, times their share of the voxels."""
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
    """Return the blocks of each level on the way down; for a multigrid network, all visits of the level."""
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
    """Voxels of each level, as a share of the patch."""
    shares: list[float] = []
    reduction = 1
    for stride in size.strides:
        reduction *= prod(stride)
        shares.append(1 / reduction)
    return shares


def _kernels(size: NetworkSize) -> list[int]:
    kernels: Any = size.arguments.get("kernel_size")
    if isinstance(kernels, Sequence):
        return list(map(prod, kernels))
    return [27] * len(size.widths)


def _dot(coefficients: Sequence[float], values: Sequence[float]) -> float:
    return sum(coefficient * value for coefficient, value in zip(coefficients, values, strict=True))


@cache
def _table() -> Mapping[str, Mapping[str, Sequence[float]]]:
    content: dict[str, dict[str, list[float]]] = json.loads(own_text(COSTS_JSON))
    return content
