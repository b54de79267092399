"""The two masks of a class, and what several metrics need to know about them, computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import NO_BOX, bounding_box, box_slices
from .lesions import Lesions
from .overlap import OverlapCounts, count_overlap
from .surface import SurfaceDistances


class MaskPair:
    """A predicted and a reference mask, cut to the box around both.

    Counts, surface distances and lesions are computed when first needed, and kept.

    Args:
        prediction: (X, Y, Z) mask.
        reference: (X, Y, Z) mask.
        spacing_mm: size of a voxel along each axis.
        worst_mm: the distance that counts for missed lesions and false positives.
    """

    def __init__(
        self,
        prediction: NDArray[np.bool_],
        reference: NDArray[np.bool_],
        spacing_mm: Sequence[float],
        worst_mm: float = math.inf,
    ) -> None:
        part = box_slices(bounding_box(prediction | reference) or NO_BOX)
        self.prediction = prediction[part]
        self.reference = reference[part]
        self.spacing_mm = tuple(spacing_mm)
        self.worst_mm = worst_mm

    @cached_property
    def counts(self) -> OverlapCounts:
        """Voxels of each mask and of both."""
        return count_overlap(self.prediction, self.reference, math.prod(self.spacing_mm))

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Distances between the two surfaces; both masks must have voxels."""
        return SurfaceDistances(self.prediction, self.reference, self.spacing_mm)

    @cached_property
    def lesions(self) -> Lesions:
        """The connected components of both masks, and which belong together."""
        return Lesions(self.prediction, self.reference, self.spacing_mm, self.worst_mm)
