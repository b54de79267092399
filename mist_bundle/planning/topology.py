"""From patch size and spacing to the kernels, strides and depth of a U-Net, by MIST's rule (which is nnU-Net's).

Axes are (X, Y, Z) in LPS. Pure arithmetic: no torch, no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

from mist_bundle.runtime.numerics.triples import Triple, triple

MAX_DOWNSAMPLINGS = 5
# An axis is halved while it has at least eight voxels: the bottleneck keeps four (MIST 2.3.0, MONAI's DynUNet tutorial)
MIN_SIZE_TO_HALVE = 8
# Coarse axes are left alone until the others have caught up with them
MAX_SPACING_RATIO = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    """Kernels and strides per level, the first level being full resolution."""

    kernels: tuple[Triple, ...]
    strides: tuple[Triple, ...]

    @property
    def divisor(self) -> Triple:
        """What every patch axis must be a multiple of."""
        return triple(prod(stride[axis] for stride in self.strides) for axis in range(3))


def unet_topology(patch_size: Sequence[int], spacing_mm: Sequence[float]) -> Topology:
    """Levels of a U-Net for a patch.

    An axis is halved while its spacing is at most twice the finest one and it has at least eight voxels; axes that are
    coarser than that get a kernel of one. There are at most five halvings (six levels) and at least two.
    """
    size = [float(value) for value in patch_size]
    spacing = [float(value) for value in spacing_mm]
    kernels: list[Triple] = []
    strides: list[Triple] = [(1, 1, 1)]
    while True:
        fine = [value / min(spacing) <= MAX_SPACING_RATIO for value in spacing]
        stride = triple(2 if fine[axis] and size[axis] >= MIN_SIZE_TO_HALVE else 1 for axis in range(3))
        if stride == (1, 1, 1) or len(strides) > MAX_DOWNSAMPLINGS:
            break
        kernels.append(triple(3 if is_fine else 1 for is_fine in fine))
        strides.append(stride)
        size = [ceil(size[axis] / stride[axis]) for axis in range(3)]
        spacing = [spacing[axis] * stride[axis] for axis in range(3)]
    kernels.append((3, 3, 3))
    while len(strides) < 3:  # DynUNet wants at least one level between input and bottleneck
        strides.append((1, 1, 1))
        kernels.append((3, 3, 3))
    return Topology(kernels=tuple(kernels), strides=tuple(strides))


def fit_patch(patch_size: Sequence[int], spacing_mm: Sequence[float]) -> Triple:
    """The smallest patch that is no smaller than the given one and that its own topology divides evenly."""
    patch = triple(max(1, int(value)) for value in patch_size)
    for _ in range(8):  # rounding up can only make the topology deeper, and its depth is bounded
        divisor = unet_topology(patch, spacing_mm).divisor
        fitted = triple(ceil(size / part) * part for size, part in zip(patch, divisor, strict=True))
        if fitted == patch:
            return patch
        patch = fitted
    raise AssertionError(f"no patch near {tuple(patch_size)} fits its own topology")
