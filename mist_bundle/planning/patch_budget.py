"""The patch rule of mist-medical 2.3.0: a budget of voxels, near-cubic in millimetres, or thin across slices.

Axes are (X, Y, Z) in LPS. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from mist_bundle.planning.decision import Decision
from mist_bundle.planning.rules import ANISOTROPY_RATIO, joined
from mist_bundle.planning.topology import fit_patch
from mist_bundle.runtime.numerics.triples import Triple, triple

STEP = 32  # edges of 32 voxels and more are multiples of it
MIN_SLICES = 5
REFERENCE_BATCH = 2  # the batch for which the budget is stated; larger batches have smaller patches


def decide_patch_budget(
    median: Triple, spacing_mm: Sequence[float], max_patch_size: Triple, max_voxels: int, batch_size: int
) -> Decision[Triple]:
    """Choose the largest patch that the memory allows, with no edge beyond the median image.

    Spacing ratios up to 3: edges of equal length in millimetres; voxels that an axis cannot use go to the others.
    Above 3, quasi-2D: the whole plane first, and as many slices as remain, at least 5. 2.3.0 allows no edge shorter
    than 32 voxels, even if the image is; here such an edge has the length of the image.

    Args:
        median: voxels of the median image, resampled.
        spacing_mm: spacing of the prepared grid.
        max_patch_size: upper limit per axis, in voxels.
        max_voxels: the budget with a batch of two.
        batch_size: patches that a device computes at once.
    """
    budget = max(1, max_voxels * REFERENCE_BATCH // batch_size)
    if max(spacing_mm) / min(spacing_mm) > ANISOTROPY_RATIO:
        patch = _quasi_2d(median, spacing_mm, budget)
        form = "quasi-2D, because slices are far apart"
    else:
        patch = _isotropic(median, spacing_mm, budget)
        form = "as near to a cube in millimetres as the image allows"
    capped = triple(map(min, patch, max_patch_size))
    because = f"MIST 2.3: {budget} voxels (for a batch of {batch_size}), {form}; median image {joined(median)}."
    return Decision(capped, because)


def _isotropic(median: Triple, spacing_mm: Sequence[float], budget: int) -> Triple:
    """Edges of equal length in millimetres; where the image is shorter, the other axes grow instead."""
    patch = [0, 0, 0]
    free = [0, 1, 2]  # axes that the image does not limit
    voxels = float(budget)  # for the free axes together
    while free:
        voxel_mm3 = 1.0
        for axis in free:
            voxel_mm3 *= spacing_mm[axis]
        edge_mm = (voxels * voxel_mm3) ** (1 / len(free))
        limited = [axis for axis in free if edge_mm / spacing_mm[axis] >= median[axis]]
        used = 1
        for axis in limited or free:
            patch[axis] = _floor(min(round(edge_mm / spacing_mm[axis]), median[axis]))
            used *= patch[axis]
        if not limited:
            break
        voxels /= used
        for axis in limited:
            free.remove(axis)
    return triple(patch)


def _quasi_2d(median: Triple, spacing_mm: Sequence[float], budget: int) -> Triple:
    coarse = list(spacing_mm).index(max(spacing_mm))
    plane = min(median[:coarse] + median[coarse + 1 :])  # the shorter edge of the image in the plane of a slice
    fewest = min(MIN_SLICES, median[coarse])
    slices = int(min(max(budget / plane**2, fewest), median[coarse]))

    def with_slices(count: int) -> Triple:
        edge = _floor(min(round(sqrt(budget / count)), plane))
        patch = [edge, edge, edge]
        patch[coarse] = count
        return triple(patch)

    # a number of slices that the network's strides divide, rather more than fewer
    for count in [*range(slices, median[coarse] + 1), *range(slices - 1, 0, -1)]:
        patch = with_slices(count)
        if fit_patch(patch, spacing_mm)[coarse] == count:
            return patch
    return with_slices(slices)


def _floor(size: int) -> int:
    return size // STEP * STEP if size >= STEP else max(1, size)
