"""From patch size and spacing to the kernels, strides and depth of a U-Net, by MIST's rule and by nnU-Net's own.

MIST took its rule from nnU-Net; it stops at six levels, and treats coarse axes and short ones a little differently.

Axes are (X, Y, Z) in LPS. Pure arithmetic: no torch, no files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from mist_bundle.runtime.numerics.triples import Triple, triple

MAX_DOWNSAMPLINGS = 5
MIN_LEVELS = 3  # DynUNet needs a level between input and bottleneck
# An axis is halved while it has at least eight voxels: the bottleneck keeps four (MIST 2.3.0, MONAI's DynUNet tutorial)
MIN_SIZE_TO_HALVE = 8
# Coarse axes are not halved until the others have caught up with them
MAX_SPACING_RATIO = 2.0
# nnU-Net halves an axis alone only if it has more voxels than that
MIN_SIZE_TO_HALVE_ALONE = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    """Kernels and strides per level, the first level being full resolution."""

    kernels: tuple[Triple, ...]
    strides: tuple[Triple, ...]

    @property
    def divisor(self) -> Triple:
        """The number of voxels that each patch axis must be a multiple of."""
        return strides_product(self.strides)


def unet_topology(patch_size: Sequence[int], spacing_mm: Sequence[float]) -> Topology:
    """Choose the levels of a U-Net for a patch.

    An axis is halved while its spacing is at most twice the finest spacing and it has at least eight voxels; coarser
    axes have a kernel size of 1. There are at most five halvings (six levels) and at least two.
    """
    size = list(patch_size)
    spacing = list(spacing_mm)
    kernels: list[Triple] = []
    strides: list[Triple] = [(1, 1, 1)]
    while len(strides) <= MAX_DOWNSAMPLINGS:
        kernel, stride = _level(size, spacing)
        if stride == (1, 1, 1):
            break
        kernels.append(kernel)
        strides.append(stride)
        for axis in range(3):
            size[axis] = ceil(size[axis] / stride[axis])
            spacing[axis] *= stride[axis]
    return _with_bottom(kernels, strides)


def nnunet_topology(patch_size: Sequence[int], spacing_mm: Sequence[float]) -> Topology:
    """Choose the levels of a U-Net as nnU-Net 2 does (its `get_pool_and_conv_props`).

    An axis is halved while it has at least eight voxels and its spacing is below twice the finest spacing of such
    axes; a single axis is halved only while it has at least twelve. A kernel is 1 on an axis until its spacing is below
    twice the finest, and 3 from then on. There are at least two halvings, and no upper limit.
    """
    size = list(patch_size)
    spacing = list(spacing_mm)
    kernel = [1, 1, 1]
    kernels: list[Triple] = []
    strides: list[Triple] = [(1, 1, 1)]
    while True:
        halved = _axes_to_halve(size, spacing)
        if not halved:
            break
        for axis in range(3):
            if spacing[axis] / min(spacing) < MAX_SPACING_RATIO:
                kernel[axis] = 3
        kernels.append(triple(kernel))
        stride = [1, 1, 1]
        for axis in halved:
            stride[axis] = 2
            spacing[axis] *= 2
            size[axis] = ceil(size[axis] / 2)
        strides.append(triple(stride))
    return _with_bottom(kernels, strides)


def _axes_to_halve(size: Sequence[int], spacing_mm: Sequence[float]) -> list[int]:
    long = [axis for axis in range(3) if size[axis] >= MIN_SIZE_TO_HALVE]
    if not long:
        return []
    finest = min(spacing_mm[axis] for axis in long)
    fine = [axis for axis in long if spacing_mm[axis] / finest < MAX_SPACING_RATIO]
    if len(fine) == 1 and size[fine[0]] < MIN_SIZE_TO_HALVE_ALONE:
        return []
    return fine


def _with_bottom(kernels: list[Triple], strides: list[Triple]) -> Topology:
    """The topology with the bottleneck, and with the levels that a network needs at least."""
    kernels = [*kernels, (3, 3, 3)]
    while len(strides) < MIN_LEVELS:
        strides.append((1, 1, 1))
        kernels.append((3, 3, 3))
    return Topology(kernels=tuple(kernels), strides=tuple(strides))


def _level(size: Sequence[int], spacing_mm: Sequence[float]) -> tuple[Triple, Triple]:
    """Kernel of a level and the stride to the next level."""
    kernel = [1, 1, 1]
    stride = [1, 1, 1]
    for axis in range(3):
        if spacing_mm[axis] / min(spacing_mm) <= MAX_SPACING_RATIO:
            kernel[axis] = 3
            if size[axis] >= MIN_SIZE_TO_HALVE:
                stride[axis] = 2
    return triple(kernel), triple(stride)


TopologyRule = Callable[[Sequence[int], Sequence[float]], Topology]


def fit_patch(patch_size: Sequence[int], spacing_mm: Sequence[float], topology: TopologyRule = unet_topology) -> Triple:
    """Return the smallest patch, not smaller than `patch_size`, that its own topology divides evenly."""
    patch = triple(patch_size)
    patch = (max(1, patch[0]), max(1, patch[1]), max(1, patch[2]))
    for _ in range(8):  # rounding up can only deepen the topology, and its depth is bounded
        fitted = round_up(patch, topology(patch, spacing_mm).divisor)
        if fitted == patch:
            return patch
        patch = fitted
    raise AssertionError(f"no patch near {tuple(patch_size)} fits its own topology")


def round_up(patch_size: Sequence[int], divisor: Triple) -> Triple:
    """Round each axis up to a multiple of its divisor."""
    rounded = []
    for size, part in zip(patch_size, divisor, strict=True):
        rounded.append(ceil(size / part) * part)
    return triple(rounded)


def strides_product(strides: Sequence[Sequence[int]]) -> Triple:
    """Multiply the strides of all levels, axis by axis."""
    product = [1, 1, 1]
    for stride in strides:
        for axis in range(3):
            product[axis] *= int(stride[axis])
    return triple(product)
