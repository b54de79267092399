"""Patch and batch of nnU-Net's residual-encoder presets, which are designed for a certain memory of the GPU.

Follows nnU-Net 2.8.1's planners nnUNetPlannerResEncM, L and XL (Isensee et al., MICCAI 2024, arXiv 2404.09556): the
largest patch in the proportions of the median image whose feature maps the memory holds, and more patches a step where
that leaves room.
Axes are (X, Y, Z) in LPS. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from mist_bundle.planning.decision import Decision
from mist_bundle.planning.rules import joined
from mist_bundle.planning.topology import Topology, fit_patch, nnunet_topology
from mist_bundle.runtime.numerics.triples import Triple

# memory of the GPU in GB -> values in the feature maps of an image that it holds in a batch of two
# (UNet_reference_val_3d of the presets M, L and XL)
VALUES_HELD = {8: 680_000_000, 24: 2_100_000_000, 40: 3_600_000_000}
REFERENCE_BATCH = 2
FIRST_VOXELS = 256**3  # of the patch that is then reduced

# residual blocks of each level on the way down, and of every deeper level; a level on the way up has one convolution
_BLOCKS = (1, 3, 4)
_DEEP_BLOCKS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class PresetRequest:
    """What the rule depends on.

    Attributes:
        median_shape: voxels of the median image, resampled.
        spacing_mm: spacing of the prepared grid.
        max_patch_size: upper limit for each axis, in voxels.
        filters: channels of each level, full resolution first; the last number serves all deeper levels.
        out_channels: classes, the background among them.
        num_cases: cases of the dataset.
        memory_gb: memory that the preset is designed for, a key of `VALUES_HELD`.
    """

    median_shape: Triple
    spacing_mm: Sequence[float]
    max_patch_size: Triple
    filters: Sequence[int]
    out_channels: int
    num_cases: int
    memory_gb: int


def residual_blocks(levels: int) -> list[int]:
    """Return the residual blocks of each level of the encoder."""
    blocks = list(_BLOCKS[:levels])
    return blocks + [_DEEP_BLOCKS] * (levels - len(blocks))


def decide_preset_patch(request: PresetRequest, patches_per_pass: int) -> Decision[Triple]:
    """Choose the largest patch that the memory holds.

    Args:
        request: dataset and preset.
        patches_per_pass: patches that a device computes at once, at least two for nnU-Net.
    """
    budget = _budget(request) * REFERENCE_BATCH / max(REFERENCE_BATCH, patches_per_pass)
    patch = _first_patch(request)
    while _values(patch, request) > budget:
        smaller = _reduced(patch, request)
        if smaller == patch:
            break
        patch = smaller
    share = "whole" if _covers(patch, request.median_shape) else f"as much as {request.memory_gb} GB hold"
    return Decision(patch, f"nnU-Net's rule: the median image {joined(request.median_shape)}, {share}.")


def decide_preset_batch(patch: Triple, request: PresetRequest) -> Decision[int]:
    """Choose the patches of a step: what the memory holds, at most the voxels of the dataset, and at least two."""
    held = round(_budget(request) / _values(patch, request) * REFERENCE_BATCH)
    whole = round(prod(request.median_shape) * request.num_cases / prod(patch))
    batch = max(min(held, whole), REFERENCE_BATCH)
    if batch == held:
        return Decision(batch, f"nnU-Net's rule: what {request.memory_gb} GB hold.")
    if batch == whole:
        return Decision(batch, f"nnU-Net's rule: the whole dataset; {request.memory_gb} GB hold {held}.")
    return Decision(batch, "nnU-Net's rule: at least two.")


def feature_map_values(patch: Triple, topology: Topology, filters: Sequence[int], out_channels: int) -> int:
    """Count the values that the convolutions of a residual-encoder U-Net put out for a patch.

    As `compute_conv_feature_map_size` of dynamic-network-architectures does: the stem; on the way down two convolutions
    for each block and a third for the shortcut of the first block of a level that changes size or width; on the way up
    a transposed convolution and a convolution; the last layer.

    Args:
        patch: voxels.
        topology: levels of the network.
        filters: channels of each level; the last number serves all deeper levels.
        out_channels: classes.
    """
    levels = len(topology.strides)
    widths = [*filters[:levels], *[filters[-1]] * (levels - len(filters))]
    size = list(patch)
    count = widths[0] * prod(patch)  # the stem
    for level, blocks in enumerate(residual_blocks(levels)):
        for axis in range(3):
            size[axis] //= topology.strides[level][axis]
        maps = 2 * blocks
        is_changed = level > 0 and (topology.strides[level] != (1, 1, 1) or widths[level] != widths[level - 1])
        if is_changed:
            maps += 1
        if level < levels - 1:
            maps += 2  # on the way up
        count += maps * widths[level] * prod(size)
    return count + out_channels * prod(patch)


def _budget(request: PresetRequest) -> int:
    return VALUES_HELD[request.memory_gb]


def _values(patch: Triple, request: PresetRequest) -> int:
    return feature_map_values(patch, _topology(patch, request), request.filters, request.out_channels)


def _topology(patch: Triple, request: PresetRequest) -> Topology:
    return nnunet_topology(patch, request.spacing_mm)


def _first_patch(request: PresetRequest) -> Triple:
    """A patch of equal edges in millimetres that is surely too large, within the median image and the limit."""
    density = prod(1 / spacing for spacing in request.spacing_mm)
    scale = (FIRST_VOXELS / density) ** (1 / 3)
    patch = []
    for axis in range(3):
        edge = round(scale / request.spacing_mm[axis])
        patch.append(max(1, min(edge, request.median_shape[axis], request.max_patch_size[axis])))
    return fit_patch(patch, request.spacing_mm, nnunet_topology)


def _reduced(patch: Triple, request: PresetRequest) -> Triple:
    """Shorten the axis that covers most of the median image, by what its own topology divides it by."""
    axis = _longest_axis(patch, request)
    trial = list(patch)
    trial[axis] -= _topology(patch, request).divisor[axis]
    if trial[axis] < 1:
        return patch
    # a shorter axis may be halved less often, so that fewer voxels have to go
    smaller = list(patch)
    smaller[axis] -= nnunet_topology(trial, request.spacing_mm).divisor[axis]
    return fit_patch(smaller, request.spacing_mm, nnunet_topology)


def _longest_axis(patch: Triple, request: PresetRequest) -> int:
    """The axis that covers most of the median image; of equal axes that which nnU-Net would find.

    nnU-Net has the axis of the coarsest spacing first and then the others in the order Z, Y, X, and takes the last.
    """
    coarsest = max((2, 1, 0), key=lambda axis: request.spacing_mm[axis])
    others = [axis for axis in (2, 1, 0) if axis != coarsest]
    longest = coarsest
    for axis in others:
        if patch[axis] / request.median_shape[axis] >= patch[longest] / request.median_shape[longest]:
            longest = axis
    return longest


def _covers(patch: Triple, median: Triple) -> bool:
    return all(size >= whole for size, whole in zip(patch, median, strict=True))
