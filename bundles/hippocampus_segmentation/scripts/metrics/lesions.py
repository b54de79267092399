"""Metrics lesion by lesion, after the protocol of the BraTS challenges: a small lesion counts as much as a large one.

The masks fall into connected components. A predicted component belongs to every reference lesion whose dilated mask it
touches; the lesion is then scored against all components that belong to it. A lesion without any is a false negative, a
component without any a false positive; both count with the worst value:

    score = sum over lesions / (lesions + false positives)

Lesions below the volume threshold are left out on both sides: a reference lesion that small is neither found nor
missed, a component that touches one is no false positive, and neither is a component below the threshold. A perfect
prediction therefore always has the best value. Where nothing is left to score, the value is the best one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .overlap import count_overlap, dice
from .surface import SurfaceDistances, hd95, surface_dice

# MIST's constants
_MIN_VOLUME_MM3 = 10.0
_DILATION = 3
_CONSOLIDATION = 0
_TOLERANCE_MM = 1.0
# components, dilation and consolidation all count voxels that share a face or an edge as neighbours
_CONNECTIVITY = 2

Slices = tuple[slice, ...]


class Lesion:
    """A reference lesion and the predicted components that belong to it, inside the box around them.

    Args:
        prediction: (X, Y, Z) mask, empty for a lesion that was missed.
        reference: (X, Y, Z) mask of this lesion alone.
        spacing_mm: size of a voxel along each axis.
    """

    def __init__(
        self, prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: Sequence[float]
    ) -> None:
        self.prediction = prediction
        self.reference = reference
        self.spacing_mm = spacing_mm
        self.detected = bool(prediction.any())

    @cached_property
    def dice(self) -> float:
        """0 where it was missed."""
        return dice(count_overlap(self.prediction, self.reference))

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Only for a lesion that was detected."""
        return SurfaceDistances(self.prediction, self.reference, self.spacing_mm)


@dataclass(frozen=True, kw_only=True, slots=True)
class LesionMatch:
    """The reference lesions that count, and the number of predicted components that belong to none."""

    lesions: tuple[Lesion, ...]
    num_false_positives: int

    @property
    def num_false_negatives(self) -> int:
        """Lesions without any predicted component."""
        return sum(not lesion.detected for lesion in self.lesions)

    @property
    def num_scored(self) -> int:
        """What the sum of the scores is divided by."""
        return len(self.lesions) + self.num_false_positives


class Lesions:
    """The components of two masks; matchings with the same settings are computed once.

    Args:
        prediction: (X, Y, Z) mask.
        reference: (X, Y, Z) mask.
        spacing_mm: size of a voxel along each axis.
        worst_mm: the distance that a missed or invented lesion counts.
    """

    def __init__(
        self,
        prediction: NDArray[np.bool_],
        reference: NDArray[np.bool_],
        spacing_mm: Sequence[float],
        worst_mm: float,
    ) -> None:
        self.prediction = prediction
        self.reference = reference
        self.spacing_mm = tuple(spacing_mm)
        self.worst_mm = worst_mm
        self._matches: dict[tuple[float, int, int], LesionMatch] = {}

    def match(
        self,
        min_volume_mm3: float = _MIN_VOLUME_MM3,
        dilation: int = _DILATION,
        consolidation: int = _CONSOLIDATION,
    ) -> LesionMatch:
        """Find out which components belong together.

        Args:
            min_volume_mm3: what is smaller is left out.
            dilation: voxels by which a lesion is grown before components are looked for.
            consolidation: reference lesions that meet when grown by so many voxels are one lesion (BraTS: 3).
        """
        settings = (float(min_volume_mm3), int(dilation), int(consolidation))
        if settings not in self._matches:
            self._matches[settings] = self._match(*settings)
        return self._matches[settings]

    def _match(self, min_volume_mm3: float, dilation: int, consolidation: int) -> LesionMatch:
        predicted, predicted_boxes = _components(self.prediction)
        reference, reference_boxes = _components(self.reference, consolidation)
        voxel_mm3 = math.prod(self.spacing_mm)
        reference_mm3 = np.bincount(reference.ravel(), minlength=len(reference_boxes) + 1) * voxel_mm3
        predicted_mm3 = np.bincount(predicted.ravel(), minlength=len(predicted_boxes) + 1) * voxel_mm3
        explained = predicted_mm3 < min_volume_mm3
        lesions = []
        for number, box in enumerate(reference_boxes, start=1):
            if box is None:
                continue
            touching = _touching(reference, number, box, predicted, dilation)
            explained[touching] = True
            if reference_mm3[number] >= min_volume_mm3:
                part = _union([box, *(predicted_boxes[index - 1] for index in touching)])
                mask = np.isin(predicted[part], touching)
                lesions.append(Lesion(mask, reference[part] == number, self.spacing_mm))
        return LesionMatch(lesions=tuple(lesions), num_false_positives=int((~explained[1:]).sum()))


def lesion_dice(lesions: Lesions, **matching: float) -> float:
    """Dice, lesion by lesion: 0 to 1."""
    match = lesions.match(**matching)  # type: ignore[arg-type]
    return _per_lesion([lesion.dice for lesion in match.lesions], match, best=1.0, worst=0.0)


def lesion_surface_dice(lesions: Lesions, tolerance_mm: float = _TOLERANCE_MM, **matching: float) -> float:
    """Surface Dice, lesion by lesion: 0 to 1."""
    match = lesions.match(**matching)  # type: ignore[arg-type]
    values = [surface_dice(one.distances, tolerance_mm) if one.detected else 0.0 for one in match.lesions]
    return _per_lesion(values, match, best=1.0, worst=0.0)


def lesion_hd95(lesions: Lesions, **matching: float) -> float:
    """HD95 in mm, lesion by lesion; missed and invented lesions count with the diagonal of the whole image."""
    match = lesions.match(**matching)  # type: ignore[arg-type]
    values = [hd95(one.distances) if one.detected else lesions.worst_mm for one in match.lesions]
    return _per_lesion(values, match, best=0.0, worst=lesions.worst_mm)


def lesion_f1(lesions: Lesions, **matching: float) -> float:
    """How well lesions are detected, whatever their outline: 2 TP / (2 TP + FP + FN)."""
    match = lesions.match(**matching)  # type: ignore[arg-type]
    wrong = match.num_false_positives + match.num_false_negatives
    found = len(match.lesions) - match.num_false_negatives
    return 2 * found / (2 * found + wrong) if found + wrong else 1.0


def lesion_false_positives(lesions: Lesions, **matching: float) -> float:
    """Number of predicted components that belong to no lesion."""
    return float(lesions.match(**matching).num_false_positives)  # type: ignore[arg-type]


def lesion_false_negatives(lesions: Lesions, **matching: float) -> float:
    """Number of lesions that were missed."""
    return float(lesions.match(**matching).num_false_negatives)  # type: ignore[arg-type]


def _per_lesion(values: Sequence[float], match: LesionMatch, *, best: float, worst: float) -> float:
    if not match.num_scored:
        return best
    penalty = match.num_false_positives * worst if match.num_false_positives else 0.0
    return (sum(values) + penalty) / match.num_scored


def _components(mask: NDArray[np.bool_], consolidation: int = 0) -> tuple[NDArray[np.int32], list[Slices | None]]:
    """The number of each voxel's component, and the box around each component."""
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(3, _CONNECTIVITY)
    if consolidation and mask.any():
        # growing must not end at the box's border: two lesions may meet around it
        padded = np.pad(mask, consolidation)
        grown = ndimage.binary_dilation(padded, structure, iterations=consolidation)
        numbers = ndimage.label(grown, structure)[0] * padded
        numbers = numbers[(slice(consolidation, -consolidation),) * 3]
    else:
        numbers = ndimage.label(mask, structure)[0]
    return numbers, ndimage.find_objects(numbers)


def _touching(
    reference: NDArray[np.int32], number: int, box: Slices, predicted: NDArray[np.int32], dilation: int
) -> NDArray[np.intp]:
    """Numbers of the predicted components that the dilated lesion touches."""
    from scipy import ndimage

    wide = tuple(slice(max(0, one.start - dilation), one.stop + dilation) for one in box)
    lesion, near = reference[wide] == number, predicted[wide]
    inside = np.unique(near[lesion])
    if dilation and np.setdiff1d(np.unique(near), inside).any():
        structure = ndimage.generate_binary_structure(3, _CONNECTIVITY)
        inside = np.unique(near[ndimage.binary_dilation(lesion, structure, iterations=dilation)])
    return inside[inside > 0].astype(np.intp)


def _union(boxes: Sequence[Slices | None]) -> Slices:
    given = [box for box in boxes if box is not None]
    axes = zip(*given, strict=True)
    return tuple(slice(min(one.start for one in axis), max(one.stop for one in axis)) for axis in axes)
