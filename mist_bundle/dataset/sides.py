"""Left and right: what class names say, and where the structures lie in the patient.

Images that were mirrored without their header (as in some public datasets) show a left kidney on the right. Scores
within such a dataset stay good, and the model fails in the clinic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEFT, RIGHT = "left", "right"
# English, the abbreviations of FreeSurfer and others, Latin, German and French
_LEFT_WORDS = ("left", "l", "lt", "lh", "sin", "sinister", "sinistra", "sinistrum", "links", "gauche")
_RIGHT_WORDS = ("right", "r", "rt", "rh", "dex", "dext", "dexter", "dextra", "dextrum", "rechts", "droit", "droite")
_SIDES = {**dict.fromkeys(_LEFT_WORDS, LEFT), **dict.fromkeys(_RIGHT_WORDS, RIGHT)}
_CLEAR_MM = 1.0  # centres that are closer along the left-right axis say nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class SidePair:
    """Two classes that differ by their side only.

    Attributes:
        structure: what both are.
        left: name of the left class.
        right: name of the right class.
        left_labels: its labels.
        right_labels: those of the right class.
    """

    structure: str
    left: str
    right: str
    left_labels: tuple[int, ...]
    right_labels: tuple[int, ...]

    def finding(self, right_of_left_mm: float, what: str) -> str:
        """A sentence where the centre of the left class lies to the right of the other, or "".

        Args:
            right_of_left_mm: from `right_of_left`.
            what: whose labels they are ("the prediction").
        """
        if right_of_left_mm > -_CLEAR_MM:
            return ""
        return (
            f"{what} shows {self.left} on the patient's right of {self.right}: the image or its header is mirrored, or "
            "the names mean the viewer's side. Look at it in a viewer."
        )


def split_side(name: str) -> tuple[str, str]:
    """Structure and side of a class: ("kidney", "left") of "Kidney_L". The side is "" if the name has none."""
    separated = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = re.findall(r"[a-z]+|[0-9]+", separated.lower())
    for index, word in enumerate(words):
        if word in _SIDES:
            del words[index]
            return " ".join(words), _SIDES[word]
    return name, ""


def side_pairs(classes: Mapping[str, Sequence[int]]) -> list[SidePair]:
    """The pairs of classes that differ by their side only, such as "kidney_left" and "kidney_right".

    Args:
        classes: name -> labels.
    """
    by_structure: dict[str, dict[str, str]] = {}
    for name in classes:
        structure, side = split_side(name)
        if side:
            by_structure.setdefault(structure, {}).setdefault(side, name)
    pairs = []
    for structure, names in by_structure.items():
        if len(names) > 1:
            pair = SidePair(
                structure=structure or f"{names[LEFT]} and {names[RIGHT]}",
                left=names[LEFT],
                right=names[RIGHT],
                left_labels=tuple(classes[names[LEFT]]),
                right_labels=tuple(classes[names[RIGHT]]),
            )
            pairs.append(pair)
    return pairs


def named_classes(
    label_names: Mapping[int, str], final_classes: Mapping[str, Sequence[int]]
) -> dict[str, Sequence[int]]:
    """All classes with a name: single labels and the classes that are scored."""
    return {**{name: (label,) for label, name in label_names.items()}, **final_classes}


def right_of_left(
    array: NDArray[np.generic], affine: NDArray[np.float64], pairs: Sequence[SidePair]
) -> dict[str, float]:
    """How far the right structure of each pair lies to the patient's right of the left one.

    Args:
        array: (X, Y, Z) labels.
        affine: voxel index -> RAS+ millimetres.
        pairs: pairs of classes.

    Returns:
        Structure -> millimetres between the centres along the left-right axis, negative where the sides are contrary
        to the names; only for pairs of which both are there.
    """
    labels: set[int] = set()
    for pair in pairs:
        labels.update(pair.left_labels, pair.right_labels)
    sums = _sums(array, affine, sorted(labels))
    distances = {}
    for pair in pairs:
        left, right = _centre(sums, pair.left_labels), _centre(sums, pair.right_labels)
        if left is not None and right is not None:
            distances[pair.structure] = right - left
    return distances


def _sums(
    array: NDArray[np.generic], affine: NDArray[np.float64], labels: Sequence[int]
) -> dict[int, tuple[float, float]]:
    """Label -> number of voxels, and the sum of their coordinates towards the right (millimetres)."""
    if not labels:
        return {}
    wanted = np.asarray(labels)
    counts, totals = np.zeros(len(labels)), np.zeros(len(labels))
    for plane_index in range(array.shape[2]):  # a plane at a time, to save memory
        plane = array[:, :, plane_index]
        rows, columns = np.nonzero(np.isin(plane, wanted))
        which = np.searchsorted(wanted, plane[rows, columns])
        position = affine[0] @ np.stack([rows, columns, np.full_like(rows, plane_index), np.ones_like(rows)])
        counts += np.bincount(which, minlength=len(labels))
        totals += np.bincount(which, weights=position, minlength=len(labels))
    return dict(zip(labels, zip(counts.tolist(), totals.tolist(), strict=True), strict=True))


def _centre(sums: Mapping[int, tuple[float, float]], labels: Sequence[int]) -> float | None:
    count = sum(sums[label][0] for label in labels)
    return sum(sums[label][1] for label in labels) / count if count else None


@dataclass(frozen=True, kw_only=True, slots=True)
class SideCounts:
    """In how many cases a pair of structures lies as its names say.

    Attributes:
        left: name of the left class.
        right: name of the right class.
        as_named: cases in which it does.
        contrary: ids of the cases in which it does not.
    """

    left: str
    right: str
    as_named: int
    contrary: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What was measured, in words."""
        total = self.as_named + len(self.contrary)
        said = f"{self.left} lies on the patient's left of {self.right} in {self.as_named} of {total} cases"
        if not self.contrary:
            return f"{said} that show both."
        return f"{said} that show both; the others may be mirrored, or named after the viewer's side."


def count_sides(pairs: Sequence[SidePair], distances: Mapping[str, Mapping[str, float]]) -> list[SideCounts]:
    """Count the cases that are as named.

    Args:
        pairs: pairs of classes.
        distances: case id -> `right_of_left` of its labels.

    Returns:
        For each pair that can be told in some case.
    """
    counts = []
    for pair in pairs:
        as_named = 0
        contrary = []
        for case_id, of_case in distances.items():
            distance = of_case.get(pair.structure, 0.0)
            as_named += distance >= _CLEAR_MM
            if distance <= -_CLEAR_MM:
                contrary.append(case_id)
        if as_named or contrary:
            counts.append(SideCounts(left=pair.left, right=pair.right, as_named=as_named, contrary=tuple(contrary)))
    return counts
