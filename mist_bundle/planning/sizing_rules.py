"""Sizing rules: from patch and spacing to the arguments of a network, a function for each kind of network.

Pure arithmetic: no torch, no files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mist_bundle.catalog.choice import Choice
from mist_bundle.planning.network_size import NetworkSize, SizeRequest
from mist_bundle.planning.nnunet_rule import residual_blocks
from mist_bundle.planning.topology import MIN_LEVELS, Topology, TopologyRule, nnunet_topology, unet_topology
from mist_bundle.runtime.numerics.triples import Triple

SizingRule = Callable[[Choice, SizeRequest], NetworkSize]

# strides per level of the networks whose topology does not follow the patch
FIXED_STRIDES: dict[str, tuple[int, ...]] = {
    "mednext": (1, 2, 2, 2, 2),
    "swin_unetr": (1, 2, 2, 2, 2, 2),
    "segresnet": (1, 2, 2, 2),
}

# networks whose levels follow another rule than MIST's
TOPOLOGY_RULES: dict[str, TopologyRule] = {"residual_encoder": nnunet_topology}


def _dynamic_unet(row: Choice, request: SizeRequest) -> NetworkSize:
    del row
    topology = unet_topology(request.patch_size, request.spacing_mm)
    size = _unet_size(topology, request)
    arguments = {"spatial_dims": 3, **size.arguments, "upsample_kernel_size": _lists(topology.strides[1:])}
    return replace(size, arguments=arguments, bottleneck="bottleneck")


def _residual_encoder(row: Choice, request: SizeRequest) -> NetworkSize:
    del row
    topology = nnunet_topology(request.patch_size, request.spacing_mm)
    levels = len(topology.strides)
    size = _unet_size(topology, request)
    arguments = {**size.arguments, "blocks": residual_blocks(levels)}
    return replace(size, arguments=arguments, bottleneck=f"encoder.{levels - 1}")


def _subpixel_unet(row: Choice, request: SizeRequest) -> NetworkSize:
    """The first halving becomes the folding of voxels into blocks; a DynUNet works on the grid of blocks."""
    del row
    topology = unet_topology(request.patch_size, request.spacing_mm)
    fold = topology.strides[1]
    strides = [(1, 1, 1), *topology.strides[2:]]
    kernels = list(topology.kernels[1:])
    while len(strides) < MIN_LEVELS:
        strides.append((1, 1, 1))
        kernels.append((3, 3, 3))
    size = _unet_size(Topology(kernels=tuple(kernels), strides=tuple(strides)), request)
    arguments = {
        "fold": list(fold),
        "spatial_dims": 3,
        **size.arguments,
        "upsample_kernel_size": _lists(strides[1:]),
    }
    return replace(size, arguments=arguments, strides=(fold, *strides[1:]), bottleneck="body.bottleneck")


def _unet_size(topology: Topology, request: SizeRequest) -> NetworkSize:
    """What U-Nets with heads of their own have in common; every level but two can have a head."""
    max_heads = len(topology.strides) - 2
    heads = min(request.heads, max_heads)
    widths = _widths(request.filters, len(topology.strides))
    return NetworkSize(
        arguments={
            "kernel_size": _lists(topology.kernels),
            "strides": _lists(topology.strides),
            "filters": list(widths),
            "deep_supervision": heads > 0,
            "deep_supr_num": max(1, heads),
            "res_block": request.residual,
        },
        strides=topology.strides,
        widths=widths,
        bottleneck="",
        max_heads=max_heads,
    )


def _attention_unet(row: Choice, request: SizeRequest) -> NetworkSize:
    del row
    topology = unet_topology(request.patch_size, request.spacing_mm)
    levels = len(topology.strides)
    widths = _widths(request.filters, levels)
    head_modules = []
    module = "model.1"
    for _ in range(1, levels - 1):
        module += ".submodule.1"
        head_modules.append(module)
    return NetworkSize(
        arguments={"spatial_dims": 3, "channels": list(widths), "strides": _lists(topology.strides[1:])},
        strides=topology.strides,
        widths=widths,
        bottleneck=f"{module}.submodule",
        head_modules=tuple(head_modules),
        head_channels=widths[1:-1],
    )


def _multigrid(heights: Callable[[int], list[int]]) -> SizingRule:
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
            head_modules=_numbered("blocks", first=blocks - 2, count=bottom - 1),
            head_channels=(request.filters[0],) * (bottom - 1),
        )

    return rule


def full_multigrid_heights(bottom: int) -> list[int]:
    """Climbs of FMG-Net before the final climb: each a level higher than the previous climb."""
    return list(range(1, bottom + 1))


def w_cycle_heights(bottom: int) -> list[int]:
    """Climbs of W-Net before the final climb: up and down again in height, each followed by a climb of height 1."""
    heights = [1]
    for height in [*range(2, bottom + 1), *range(bottom - 1, 1, -1)]:
        heights += [height, 1]
    return heights


def _mednext(row: Choice, request: SizeRequest) -> NetworkSize:
    stages = len(row.kwargs["blocks_down"])
    widths = _doubling(row.kwargs["init_filters"], stages + 1)
    return NetworkSize(
        arguments={
            "spatial_dims": 3,
            "kernel_size": request.kernel_size,
            "use_residual_connection": request.residual,
        },
        strides=_fixed_strides(row),
        widths=widths,
        bottleneck="bottleneck",
        head_modules=(*_numbered("dec_stages", first=stages - 2, count=stages - 1), "bottleneck"),
        head_channels=widths[1:],
    )


def _swin_unetr(row: Choice, request: SizeRequest) -> NetworkSize:
    del request
    features = row.kwargs["feature_size"]
    channels = _doubling(features, 4)
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
    ups = len(row.kwargs["blocks_up"])
    widths = _doubling(row.kwargs["init_filters"], ups + 1)
    return NetworkSize(
        arguments={"spatial_dims": 3},
        strides=_fixed_strides(row),
        widths=widths,
        bottleneck=f"down_layers.{ups}",
        head_modules=_numbered("up_layers", first=ups - 2, count=ups - 1),
        head_channels=widths[1:-1],
    )


def _user(row: Choice, request: SizeRequest) -> NetworkSize:
    del row, request
    return NetworkSize(arguments={}, strides=((1, 1, 1),), widths=(), bottleneck="")


def _pocket(rule: SizingRule) -> SizingRule:
    """The same rule with equal width at all levels (Celaya et al., PocketNet)."""

    def constant_width(row: Choice, request: SizeRequest) -> NetworkSize:
        return rule(row, replace(request, filters=request.filters[:1]))

    return constant_width


def _fixed_strides(row: Choice) -> tuple[Triple, ...]:
    return tuple((step, step, step) for step in FIXED_STRIDES[row.sizing])


def _widths(filters: Sequence[int], levels: int) -> tuple[int, ...]:
    """Channels of each level; the last number serves all deeper levels."""
    deeper = levels - len(filters)
    return (*filters[:levels], *[filters[-1]] * deeper)


def _doubling(first: int, levels: int) -> tuple[int, ...]:
    return tuple(first * 2**level for level in range(levels))


def _numbered(name: str, *, first: int, count: int) -> tuple[str, ...]:
    """Names of numbered modules, counting down: level 1 lies closest to the output, which is the last module."""
    return tuple(f"{name}.{first - step}" for step in range(count))


def _lists(triples: Sequence[Triple]) -> list[list[int]]:
    return list(map(list, triples))


SIZING_RULES: dict[str, SizingRule] = {
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
