"""The patch rule of mist-medical 2.3.0: so many voxels to spend, near-cubic in millimetres, or thin across slices.

Axes are (X, Y, Z) in LPS. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

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
    """As many voxels as the memory has room for, without an edge beyond the median image.

    Spacing ratios up to 3: edges of the same length in millimetres; what an axis cannot use goes to the others.
    Above 3, quasi-2D: the whole plane first, and as many slices as are left, at least 5. 2.3.0 makes no edge shorter
    than 32 voxels, even where the image is; here the image's edge is taken then.

    Args:
        median: voxels of the median image, resampled.
        spacing_mm: of the prepared grid.
        max_patch_size: voxels per axis that no patch exceeds.
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
    capped = triple([min(size, limit) for size, limit in zip(patch, max_patch_size, strict=True)])
    because = f"MIST 2.3: {budget} voxels (for a batch of {batch_size}), {form}; median image {joined(median)}."
    return Decision(capped, because)


def _isotropic(median: Triple, spacing_mm: Sequence[float], budget: int) -> Triple:
    patch = {axis: 0 for axis in range(3)}
    free, left = [0, 1, 2], float(budget)
    while free:
        edge_mm = (left * prod(spacing_mm[axis] for axis in free)) ** (1 / len(free))
        full = [axis for axis in free if edge_mm / spacing_mm[axis] >= median[axis]]
        for axis in full or free:
            patch[axis] = _floor(min(round(edge_mm / spacing_mm[axis]), median[axis]))
        left /= prod(patch[axis] for axis in full)
        free = [axis for axis in free if axis not in full] if full else []
    return triple([patch[axis] for axis in range(3)])


def _quasi_2d(median: Triple, spacing_mm: Sequence[float], budget: int) -> Triple:
    coarse = max(range(3), key=lambda axis: spacing_mm[axis])
    plane = min(median[axis] for axis in range(3) if axis != coarse)
    slices = int(min(max(budget / plane**2, min(MIN_SLICES, median[coarse])), median[coarse]))

    def with_slices(count: int) -> Triple:
        edge = _floor(min(round(sqrt(budget / count)), plane))
        return triple([count if axis == coarse else edge for axis in range(3)])

    # a number of slices that the network's strides divide, rather more than fewer
    candidates = [*range(slices, median[coarse] + 1), *range(slices - 1, 0, -1)]
    fitting = (count for count in candidates if fit_patch(with_slices(count), spacing_mm)[coarse] == count)
    return with_slices(next(fitting, slices))


def _floor(size: int) -> int:
    return size // STEP * STEP if size >= STEP else max(1, size)
