"""From a row of the catalogue to a network of a certain size: its arguments, and what patches and heads it can have.

One function a sizing rule; what all of them share stands around them. Pure arithmetic: no torch, no files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from mist_bundle.catalog.choice import Choice
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.recipes import ASKED
from mist_bundle.planning.topology import fit_patch, unet_topology
from mist_bundle.runtime.numerics.patch_fit import with_deep_bottom
from mist_bundle.runtime.numerics.triples import Triple

DEFAULT_KERNEL_SIZE = 3
MIN_LEVELS = 3  # DynUNet wants at least one level between input and bottleneck


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeRequest:
    """What a sizing rule is told.

    Attributes:
        patch_size: voxels, X, Y, Z; already one that the network takes.
        spacing_mm: of the prepared grid.
        in_channels: of the image.
        out_channels: classes.
        filters: of the recipe, full resolution first; the last one serves all deeper levels.
        residual: blocks with a shortcut.
        kernel_size: of the convolutions, where it can be chosen.
        heads: wanted auxiliary outputs.
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
    """What a sizing rule answers.

    Attributes:
        arguments: of the network.
        strides: per level, full resolution first.
        widths: channels per level; the last one is the bottleneck's.
        bottleneck: dotted name of the module that puts out the coarsest features.
        head_modules: dotted names of the modules at level 1, 2 … that an auxiliary head can be put on; empty where the
            network has heads of its own.
        head_channels: what they put out.
        max_heads: the most heads there can be.
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
        """What every patch axis must be a multiple of."""
        first, second, third = (prod(stride[axis] for stride in self.strides) for axis in range(3))
        return first, second, third


def size_network(row: Choice, request: SizeRequest) -> NetworkSize:
    """Apply the sizing rule of a row; its fixed arguments come first."""
    size = _RULES[row.sizing](row, request)
    shape = {"in_channels": request.in_channels, "out_channels": request.out_channels}
    return NetworkSize(
        arguments={**shape, **row.kwargs, **size.arguments},
        strides=size.strides,
        widths=size.widths,
        bottleneck=size.bottleneck,
        head_modules=size.head_modules,
        head_channels=size.head_channels,
        max_heads=size.max_heads or len(size.head_modules),
    )


def fit_network_patch(
    row: Choice, patch_size: Triple, spacing_mm: Sequence[float], user_divisor: Triple | None
) -> tuple[Triple, str]:
    """The patch that a network takes in place of one that was wanted, and why it differs ("" if it does not).

    Networks whose strides follow the patch take the next size above; those with fixed strides the nearest size, axis by
    axis, so that a small patch does not double for the sake of a few voxels.
    """
    if row.sizing == "user":
        divisor = user_divisor or (1, 1, 1)
        fitted = _nearest(patch_size, divisor) if user_divisor else patch_size
        reason = f"the network's patch_divisor is {_text(divisor)}."
    elif row.sizing in FIXED_STRIDES:
        per_axis = prod(FIXED_STRIDES[row.sizing])
        fitted = _nearest(patch_size, (per_axis,) * 3)
        reason = f"the network takes multiples of {per_axis}, and more than {per_axis} on one axis at least."
    else:
        fitted = fit_patch(patch_size, spacing_mm)
        reason = "the network's strides divide it."
        fitted = with_deep_bottom(fitted, unet_topology(fitted, spacing_mm).divisor)
    if fitted == tuple(patch_size):
        return fitted, ""
    return fitted, f"Changed from {_text(patch_size)} to {_text(fitted)}: {reason}"


def _nearest(patch_size: Triple, divisor: Triple) -> Triple:
    # the nearest multiple of each axis, the greater one of two that are as near, and never none
    rounded = [max(1, (2 * size + part) // (2 * part)) * part for size, part in zip(patch_size, divisor, strict=True)]
    return with_deep_bottom(rounded, divisor)


def head_weights_problem(count: int, heads: int) -> str:
    """The sentence about weights that are not as many as the outputs."""
    return f"holds {count} numbers; expected {heads + 1}: the output itself, then its {heads} auxiliary heads."


def decide_head_weights(asked: Sequence[float] | None, heads: int) -> Decision[tuple[float, ...]] | None:
    """The weights of the outputs in the loss; None for the default, which halves from head to head.

    Raises:
        InputError: they are not as many as the outputs.
    """
    if asked is None:
        return None
    if len(asked) != heads + 1:
        raise InputError(Problem("--deep_supervision_weights", head_weights_problem(len(asked), heads)))
    return Decision(tuple(asked), ASKED)


def _dynamic_unet(row: Choice, request: SizeRequest) -> NetworkSize:
    del row
    topology = unet_topology(request.patch_size, request.spacing_mm)
    levels = len(topology.strides)
    heads = min(request.heads, levels - 2)
    widths = _widths(request.filters, levels)
    strides = _lists(topology.strides)
    return NetworkSize(
        arguments={
            "spatial_dims": 3,
            "kernel_size": _lists(topology.kernels),
            "strides": strides,
            "upsample_kernel_size": strides[1:],
            "filters": list(widths),
            "deep_supervision": heads > 0,
            "deep_supr_num": max(1, heads),
            "res_block": request.residual,
        },
        strides=topology.strides,
        widths=widths,
        bottleneck="bottleneck",
        max_heads=levels - 2,
    )


# residual blocks of each level, in nnU-Net's ResEnc presets of all sizes
RESIDUAL_BLOCKS = (1, 3, 4, 6, 6, 6, 6)


def _residual_encoder(row: Choice, request: SizeRequest) -> NetworkSize:
    del row
    topology = unet_topology(request.patch_size, request.spacing_mm)
    levels = len(topology.strides)
    heads = min(request.heads, levels - 2)
    widths = _widths(request.filters, levels)
    return NetworkSize(
        arguments={
            "kernel_size": _lists(topology.kernels),
            "strides": _lists(topology.strides),
            "filters": list(widths),
            "blocks": list(RESIDUAL_BLOCKS[:levels]),
            "deep_supervision": heads > 0,
            "deep_supr_num": max(1, heads),
            "res_block": request.residual,
        },
        strides=topology.strides,
        widths=widths,
        bottleneck=f"encoder.{levels - 1}",
        max_heads=levels - 2,
    )


def _subpixel_unet(row: Choice, request: SizeRequest) -> NetworkSize:
    """The first halving becomes the folding of blocks; what is left is a DynUNet on the grid of blocks."""
    del row
    topology = unet_topology(request.patch_size, request.spacing_mm)
    fold = topology.strides[1]
    strides = [(1, 1, 1), *topology.strides[2:]]
    kernels = list(topology.kernels[1:])
    while len(strides) < MIN_LEVELS:
        strides.append((1, 1, 1))
        kernels.append((3, 3, 3))
    heads = min(request.heads, len(strides) - 2)
    widths = _widths(request.filters, len(strides))
    return NetworkSize(
        arguments={
            "fold": list(fold),
            "spatial_dims": 3,
            "kernel_size": _lists(kernels),
            "strides": _lists(strides),
            "upsample_kernel_size": _lists(strides[1:]),
            "filters": list(widths),
            "deep_supervision": heads > 0,
            "deep_supr_num": max(1, heads),
            "res_block": request.residual,
        },
        strides=(fold, *strides[1:]),
        widths=widths,
        bottleneck="body.bottleneck",
        max_heads=len(strides) - 2,
    )


def _attention_unet(row: Choice, request: SizeRequest) -> NetworkSize:
    del row
    topology = unet_topology(request.patch_size, request.spacing_mm)
    levels = len(topology.strides)
    widths = _widths(request.filters, levels)
    down = "submodule.1."
    return NetworkSize(
        arguments={"spatial_dims": 3, "channels": list(widths), "strides": _lists(topology.strides[1:])},
        strides=topology.strides,
        widths=widths,
        bottleneck=f"model.1.{down * (levels - 2)}submodule",
        head_modules=tuple(f"model.1.{down * level}"[:-1] for level in range(1, levels - 1)),
        head_channels=widths[1:-1],
    )


def _multigrid(heights: Callable[[int], list[int]]) -> Callable[[Choice, SizeRequest], NetworkSize]:
    def rule(row: Choice, request: SizeRequest) -> NetworkSize:
        del row
        topology = unet_topology(request.patch_size, request.spacing_mm)
        bottom = len(topology.strides) - 1
        climbs = heights(bottom)
        blocks = 1 + bottom + 2 * sum(climbs) + bottom  # down, each climb up and back, up
        return NetworkSize(
            arguments={
                "kernel_size": _lists(topology.kernels),
                "strides": _lists(topology.strides),
                "heights": climbs,
                "filters": request.filters[0],
                "res_block": request.residual,
            },
            strides=topology.strides,
            widths=(request.filters[0],) * (bottom + 1),
            bottleneck=f"blocks.{blocks - 1 - bottom}",
            head_modules=tuple(f"blocks.{blocks - 1 - level}" for level in range(1, bottom)),
            head_channels=(request.filters[0],) * (bottom - 1),
        )

    return rule


def full_multigrid_heights(bottom: int) -> list[int]:
    """Climbs of FMG-Net before the last one: each a level higher than the one before."""
    return list(range(1, bottom + 1))


def w_cycle_heights(bottom: int) -> list[int]:
    """Climbs of W-Net before the last one: up and down again in height, with a climb of one level between any two."""
    higher = [*range(2, bottom + 1), *range(bottom - 1, 1, -1)]
    return [1, *(height for top in higher for height in (top, 1))]


def _mednext(row: Choice, request: SizeRequest) -> NetworkSize:
    stages = len(row.kwargs["blocks_down"])
    widths = tuple(row.kwargs["init_filters"] * 2**level for level in range(stages + 1))
    return NetworkSize(
        arguments={
            "spatial_dims": 3,
            "kernel_size": request.kernel_size,
            "use_residual_connection": request.residual,
        },
        strides=_fixed_strides(row),
        widths=widths,
        bottleneck="bottleneck",
        head_modules=(*(f"dec_stages.{stages - 1 - level}" for level in range(1, stages)), "bottleneck"),
        head_channels=widths[1:],
    )


def _swin_unetr(row: Choice, request: SizeRequest) -> NetworkSize:
    del request
    features = row.kwargs["feature_size"]
    channels = tuple(features * factor for factor in (1, 2, 4, 8))
    return NetworkSize(
        arguments={"spatial_dims": 3},
        strides=_fixed_strides(row),
        widths=(features, *channels, 16 * features),
        bottleneck="encoder10",
        head_modules=("decoder2", "decoder3", "decoder4", "decoder5"),
        head_channels=channels,
    )


def _segresnet(row: Choice, request: SizeRequest) -> NetworkSize:
    del request
    first, ups = row.kwargs["init_filters"], len(row.kwargs["blocks_up"])
    widths = tuple(first * 2**level for level in range(ups + 1))
    return NetworkSize(
        arguments={"spatial_dims": 3},
        strides=_fixed_strides(row),
        widths=widths,
        bottleneck=f"down_layers.{ups}",
        head_modules=tuple(f"up_layers.{ups - 1 - level}" for level in range(1, ups)),
        head_channels=widths[1:-1],
    )


def _user(row: Choice, request: SizeRequest) -> NetworkSize:
    del row, request
    return NetworkSize(arguments={}, strides=((1, 1, 1),), widths=(), bottleneck="")


def _pocket(rule: Callable[[Choice, SizeRequest], NetworkSize]) -> Callable[[Choice, SizeRequest], NetworkSize]:
    def constant_width(row: Choice, request: SizeRequest) -> NetworkSize:
        fields = {name: getattr(request, name) for name in SizeRequest.__dataclass_fields__}
        return rule(row, SizeRequest(**{**fields, "filters": request.filters[:1]}))

    return constant_width


def _fixed_strides(row: Choice) -> tuple[Triple, ...]:
    return tuple((step, step, step) for step in FIXED_STRIDES[row.sizing])


def _widths(filters: Sequence[int], levels: int) -> tuple[int, ...]:
    return tuple(filters[min(level, len(filters) - 1)] for level in range(levels))


def _lists(triples: Sequence[Triple]) -> list[list[int]]:
    return [list(triple) for triple in triples]


def _text(values: Sequence[int]) -> str:
    return " x ".join(str(value) for value in values)


# Halvings per level of the networks whose topology does not follow the patch
FIXED_STRIDES: dict[str, tuple[int, ...]] = {
    "mednext": (1, 2, 2, 2, 2),
    "swin_unetr": (1, 2, 2, 2, 2, 2),
    "segresnet": (1, 2, 2, 2),
}

_RULES: dict[str, Callable[[Choice, SizeRequest], NetworkSize]] = {
    "dynamic_unet": _dynamic_unet,
    "pocket_unet": _pocket(_dynamic_unet),
    "residual_encoder": _residual_encoder,
    "subpixel_unet": _subpixel_unet,
    "pocket_subpixel_unet": _pocket(_subpixel_unet),
    "attention_unet": _attention_unet,
    "pocket_attention_unet": _pocket(_attention_unet),
    "fmgnet": _multigrid(full_multigrid_heights),
    "wnet": _multigrid(w_cycle_heights),
    "mednext": _mednext,
    "swin_unetr": _swin_unetr,
    "segresnet": _segresnet,
    "user": _user,
}
