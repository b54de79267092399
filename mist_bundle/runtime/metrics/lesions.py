"""Metrics lesion by lesion, as the BraTS challenges score them: a small lesion counts as much as a large one.

The definition is that of the BraTS challenges from 2023 on (https://github.com/rachitsaluja/BraTS-2023-Metrics):

1. Lesions are the connected components of the reference, 26 neighbours. Lesions that meet when each grows by
   `consolidation` voxels are joined. Growing takes the 18 neighbours that share a face or an edge.
2. A predicted component (26 neighbours) belongs to every lesion that it touches once the lesion has grown by `dilation`
   voxels; the lesion is scored against all components that belong to it.
3. A lesion without any component is missed and has the worst value; so has each component without a lesion, a false
   positive, however small it is.
4. Reference lesions of at most `min_volume_mm3` do not count, detected or missed. What touches them is not a false
   positive, so a perfect prediction always has the best value.

       score = sum over lesions / (lesions + false positives)

The challenges differ in growth and volume: see PROTOCOLS. Where nothing is left to score, the value is NaN here, and
case.py treats the class as empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import Slices, union
from .overlap import count_overlap, dice
from .surface import SurfaceDistances, hd95, surface_dice

_TOLERANCE_MM = 1.0
_GROWTH_AXES = 2  # axes along which a neighbour may differ: faces and edges
_AXES_OF_NEIGHBOURS = {6: 1, 18: 2, 26: 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How lesions are delimited and matched.

    Attributes:
        min_volume_mm3: reference lesions of at most this volume do not count.
        dilation: voxels by which a lesion grows before components are looked for.
        consolidation: reference lesions that meet when grown by so many voxels are joined; None takes `dilation`.
        connectivity: 6, 18 or 26 neighbours of a voxel belong to its component.
        small_false_positives: components of at most `min_volume_mm3` that belong to no lesion count as false positives.
    """

    min_volume_mm3: float
    dilation: int
    consolidation: int | None = None
    connectivity: int = 26
    small_false_positives: bool = True

    @property
    def joined_within(self) -> int:
        """Voxels by which lesions grow before those that meet are joined."""
        return self.dilation if self.consolidation is None else self.consolidation


_GLIOMA = Protocol(min_volume_mm3=50, dilation=3)
_MENINGIOMA = Protocol(min_volume_mm3=50, dilation=1)
_METASTASES = Protocol(min_volume_mm3=2, dilation=1)
DEFAULT_PROTOCOL = "brats2023-gli"
PROTOCOLS: Mapping[str, Protocol] = {
    DEFAULT_PROTOCOL: _GLIOMA,
    "brats2023-ssa": _GLIOMA,
    "brats2023-ped": _GLIOMA,
    "brats2023-men": _MENINGIOMA,
    "brats2023-met": _METASTASES,
    # not of a challenge: the numbers of mist-medical 2.3.0, without small false positives (MIST counts even those that
    # lie on small lesions, so that a perfect prediction of a small lesion has a Dice of 0.5)
    "mist": Protocol(min_volume_mm3=10, dilation=3, consolidation=0, connectivity=18, small_false_positives=False),
}


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
        """Dice of the lesion; 0 if it was missed."""
        return dice(count_overlap(self.prediction, self.reference))

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Surface distances, which only a detected lesion has."""
        return SurfaceDistances(self.prediction, self.reference, self.spacing_mm)


@dataclass(frozen=True, kw_only=True, slots=True)
class LesionMatch:
    """The reference lesions that count, and the number of predicted components that belong to none."""

    lesions: tuple[Lesion, ...]
    num_false_positives: int

    @property
    def num_false_negatives(self) -> int:
        """Lesions without any predicted component."""
        detected = [lesion for lesion in self.lesions if lesion.detected]
        return len(self.lesions) - len(detected)

    @property
    def num_scored(self) -> int:
        """Number of lesions and false positives, over which scores are averaged."""
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
        self._matches: dict[Protocol, LesionMatch] = {}

    def match(self, protocol: str = DEFAULT_PROTOCOL, **changes: Any) -> LesionMatch:
        """Find out which components belong together.

        Args:
            protocol: name in PROTOCOLS.
            **changes: fields of the protocol that are set otherwise.
        """
        chosen = replace(PROTOCOLS[protocol], **changes)
        if chosen not in self._matches:
            self._matches[chosen] = self._match(chosen)
        return self._matches[chosen]

    def _match(self, protocol: Protocol) -> LesionMatch:
        predicted, predicted_boxes = _components(self.prediction, protocol.connectivity)
        reference, reference_boxes = _components(self.reference, protocol.connectivity, protocol.joined_within)
        voxel_mm3 = math.prod(self.spacing_mm)
        reference_mm3 = np.bincount(reference.ravel(), minlength=len(reference_boxes) + 1) * voxel_mm3
        predicted_mm3 = np.bincount(predicted.ravel(), minlength=len(predicted_boxes) + 1) * voxel_mm3
        explained = np.zeros(len(predicted_mm3), dtype=bool)
        if not protocol.small_false_positives:
            explained = predicted_mm3 <= protocol.min_volume_mm3
        lesions = []
        for number, box in enumerate(reference_boxes, start=1):
            if box is None:
                continue
            touching = _touching(reference, number, box, predicted, protocol.dilation)
            explained[touching] = True
            if reference_mm3[number] > protocol.min_volume_mm3:
                boxes = [predicted_boxes[index - 1] or box for index in touching]
                part = union([box, *boxes])
                mask = np.isin(predicted[part], touching)
                lesions.append(Lesion(mask, reference[part] == number, self.spacing_mm))
        return LesionMatch(lesions=tuple(lesions), num_false_positives=int((~explained[1:]).sum()))


def lesion_dice(lesions: Lesions, **matching: Any) -> float:
    """Dice, lesion by lesion: 0 to 1."""
    return _mean_over_lesions(lesions.match(**matching), lambda lesion: lesion.dice, worst=0.0)


def lesion_surface_dice(lesions: Lesions, tolerance_mm: float = _TOLERANCE_MM, **matching: Any) -> float:
    """Surface Dice, lesion by lesion: 0 to 1."""
    match = lesions.match(**matching)
    return _mean_over_lesions(match, lambda lesion: surface_dice(lesion.distances, tolerance_mm), worst=0.0)


def lesion_hd95(lesions: Lesions, **matching: Any) -> float:
    """HD95 in mm, lesion by lesion; missed lesions and false positives count with the diagonal of the whole image."""
    match = lesions.match(**matching)
    return _mean_over_lesions(match, lambda lesion: hd95(lesion.distances), worst=lesions.worst_mm)


def lesion_f1(lesions: Lesions, **matching: Any) -> float:
    """How well lesions are detected, whatever their outline: 2 TP / (2 TP + FP + FN)."""
    match = lesions.match(**matching)
    wrong = match.num_false_positives + match.num_false_negatives
    detected = len(match.lesions) - match.num_false_negatives
    return 2 * detected / (2 * detected + wrong) if detected + wrong else math.nan


def lesion_false_positives(lesions: Lesions, **matching: Any) -> float:
    """Number of predicted components that belong to no lesion."""
    return float(lesions.match(**matching).num_false_positives)


def lesion_false_negatives(lesions: Lesions, **matching: Any) -> float:
    """Number of lesions that were missed."""
    return float(lesions.match(**matching).num_false_negatives)


def _mean_over_lesions(match: LesionMatch, score: Callable[[Lesion], float], *, worst: float) -> float:
    """Mean score of all lesions and false positives; missed lesions and false positives have the worst score."""
    if not match.num_scored:
        return math.nan
    total = match.num_false_positives * worst if match.num_false_positives else 0.0
    for lesion in match.lesions:
        total += score(lesion) if lesion.detected else worst
    return total / match.num_scored


def _components(
    mask: NDArray[np.bool_], connectivity: int, joined_within: int = 0
) -> tuple[NDArray[np.int32], list[Slices | None]]:
    """The number of each voxel's component, and the box around each component."""
    from scipy import ndimage

    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int32), []
    structure = ndimage.generate_binary_structure(3, _AXES_OF_NEIGHBOURS[connectivity])
    if joined_within:
        growth = ndimage.generate_binary_structure(3, _GROWTH_AXES)
        # growing must not end at the box's border: two lesions may meet around it
        padded = np.pad(mask, joined_within)
        grown = ndimage.binary_dilation(padded, growth, iterations=joined_within)
        numbers = ndimage.label(grown, structure)[0] * padded
        numbers = numbers[(slice(joined_within, -joined_within),) * 3]
    else:
        numbers = ndimage.label(mask, structure)[0]
    return numbers, ndimage.find_objects(numbers)


def _touching(
    reference: NDArray[np.int32], number: int, box: Slices, predicted: NDArray[np.int32], dilation: int
) -> NDArray[np.intp]:
    """Numbers of the predicted components that the dilated lesion touches."""
    from scipy import ndimage

    x, y, z = box
    around = (_widened(x, dilation), _widened(y, dilation), _widened(z, dilation))
    lesion, near = reference[around] == number, predicted[around]
    inside = np.unique(near[lesion])
    if dilation and np.setdiff1d(np.unique(near), inside).any():
        growth = ndimage.generate_binary_structure(3, _GROWTH_AXES)
        inside = np.unique(near[ndimage.binary_dilation(lesion, growth, iterations=dilation)])
    return inside[inside > 0].astype(np.intp)


def _widened(part: slice, margin: int) -> slice:
    return slice(max(0, part.start - margin), part.stop + margin)
