"""Metrics that count voxels: how much of two masks is shared.

Each takes the counts of a case and class, so that the voxels are read once for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MM3_PER_ML = 1000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class OverlapCounts:
    """How many voxels each mask has, and both together.

    Attributes:
        prediction: voxels of the predicted mask.
        reference: voxels of the reference mask.
        both: voxels of both.
        voxel_volume_mm3: volume of a voxel.
    """

    prediction: int
    reference: int
    both: int
    voxel_volume_mm3: float


def count_overlap(
    prediction: NDArray[np.bool_], reference: NDArray[np.bool_], voxel_volume_mm3: float = 1.0
) -> OverlapCounts:
    """Count the voxels of two masks of the same shape."""
    return OverlapCounts(
        prediction=int(np.count_nonzero(prediction)),
        reference=int(np.count_nonzero(reference)),
        both=int(np.count_nonzero(prediction & reference)),
        voxel_volume_mm3=voxel_volume_mm3,
    )


def dice(counts: OverlapCounts) -> float:
    """Twice the shared voxels over the voxels of both masks: 0 to 1. The masks must not both be empty."""
    return 2 * counts.both / (counts.prediction + counts.reference)


def iou(counts: OverlapCounts) -> float:
    """Shared voxels over the voxels of either mask (Jaccard index): 0 to 1. The masks must not both be empty."""
    return counts.both / (counts.prediction + counts.reference - counts.both)


def sensitivity(counts: OverlapCounts) -> float:
    """The part of the reference that is covered by the prediction (recall): 0 to 1. The reference must have voxels."""
    return counts.both / counts.reference


def precision(counts: OverlapCounts) -> float:
    """The part of the prediction that is right: 0 to 1. The prediction must have voxels."""
    return counts.both / counts.prediction


def volume_difference(counts: OverlapCounts) -> float:
    """How many millilitres the predicted volume is off, whether too large or too small. Defined for empty masks too."""
    return abs(counts.prediction - counts.reference) * counts.voxel_volume_mm3 / _MM3_PER_ML
