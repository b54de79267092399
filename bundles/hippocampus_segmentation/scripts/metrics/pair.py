"""The two masks of one class, and what several metrics want to know about them, computed once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import bounding_box
from .lesions import Lesions
from .overlap import OverlapCounts, count_overlap
from .surface import SurfaceDistances


class MaskPair:
    """A predicted and a reference mask, cut to the box around both.

    Counts, surface distances and lesions are computed when first asked for, and kept.

    Args:
        prediction: (X, Y, Z) mask.
        reference: (X, Y, Z) mask.
        spacing_mm: size of a voxel along each axis.
        worst_mm: the distance that a lesion counts for which only one of the masks has.
    """

    def __init__(
        self,
        prediction: NDArray[np.bool_],
        reference: NDArray[np.bool_],
        spacing_mm: Sequence[float],
        worst_mm: float = math.inf,
    ) -> None:
        box = bounding_box(prediction | reference) or ((0, 0, 0), (0, 0, 0))
        part = tuple(slice(start, stop) for start, stop in zip(*box, strict=True))
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
