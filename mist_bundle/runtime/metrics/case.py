"""All metrics of a case: a predicted and a reference label map become a row of results.

Everything is cut to the box around the labels first, and what several metrics need is computed once per class.

Empty masks follow MIST's rule by default: a class that is in neither label map has the best value (1, or 0 mm); a class
that is in only one of them has the worst (0, or the diagonal of the whole image in mm). Metrics that are defined for
empty masks keep their definition: the volume difference is a plain number of millilitres, and the lesion-wise metrics
count missed lesions and false positives.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import NO_BOX, Box, Slices, bounding_box, box_slices, union, whole_box
from ..numerics.labels import as_labels, not_labels
from ..wording import MOST_NAMES, counted, list_names
from . import lesions, overlap, surface
from .columns import column_names
from .menu import METRICS, MetricRow, unknown_metrics
from .pair import MaskPair

BEST, WORST, MISSING = "best", "worst", "nan"
_MAX_BOXES, _FEW_CLASSES = 1 << 16, 6
_MODULES = {"overlap": overlap, "surface": surface, "lesions": lesions}


def check_metrics(metrics: Sequence[str], options: Mapping[str, Mapping[str, float]] | None = None) -> list[str]:
    """What is wrong with names of metrics and their options: a sentence each, none when all is well."""
    findings = unknown_metrics(metrics)
    for name, values in (options or {}).items():
        if name not in metrics:
            findings.append(f"options are set for {name!r}, which is not among the metrics {list(metrics)}.")
        elif name in METRICS:
            findings += _option_findings(name, values)
    return findings


def _option_findings(name: str, values: Mapping[str, Any]) -> list[str]:
    known = METRICS[name].options
    findings = []
    for key, value in values.items():
        if key not in known:
            findings.append(f"{name} has no option {key!r}; known: {', '.join(known) or 'none'}.")
            continue
        fits, expected = _EXPECTED_OPTIONS[key]
        if not fits(value):
            findings.append(f"{name}: {key} is {value!r}; expected {expected}.")
    return findings


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_MILLIMETRES = (_is_number, "a number of at least 0")
_VOXELS = (_is_whole, "a whole number of at least 0")
_SWITCH = (lambda value: isinstance(value, bool), "true or false")
_EXPECTED_OPTIONS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "tolerance_mm": _MILLIMETRES,
    "symmetric": _SWITCH,
    "protocol": (lambda value: value in lesions.PROTOCOLS, f"any of {', '.join(lesions.PROTOCOLS)}"),
    "min_volume_mm3": _MILLIMETRES,
    "dilation": _VOXELS,
    "consolidation": _VOXELS,
    "connectivity": (lambda value: value in (6, 18, 26), "6, 18 or 26"),
    "small_false_positives": _SWITCH,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EmptyRule:
    """The value of a class that is missing in a label map, or in both.

    Metrics that are defined for empty masks, such as the volume difference, keep their value under any rule.

    Attributes:
        both_empty: "best" or "nan": the value of a class that is in neither label map. NaN is left out of statistics.
        one_empty: "worst" or "nan": the value of a class that is in only one of them.
        distance_mm: the worst distance (BraTS takes 374); None takes the diagonal of the whole image.
    """

    both_empty: str = BEST
    one_empty: str = WORST
    distance_mm: float | None = None

    def findings(self) -> list[str]:
        """What is wrong with the rule: a sentence for each setting out of bounds."""
        findings = []
        if self.both_empty not in (BEST, MISSING):
            findings.append(f"both_empty is {self.both_empty!r}; expected {BEST} or {MISSING}.")
        if self.one_empty not in (WORST, MISSING):
            findings.append(f"one_empty is {self.one_empty!r}; expected {WORST} or {MISSING}.")
        if self.distance_mm is not None and not 0 < self.distance_mm < math.inf:
            findings.append(f"empty_distance_mm is {self.distance_mm!r}; expected millimetres above 0.")
        return findings


def image_diagonal_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
    """The diagonal of a whole image, voxels from edge to edge."""
    return float(np.linalg.norm(np.multiply(shape, spacing_mm)))


def score_case(
    prediction_xyz: NDArray[Any],
    reference_xyz: NDArray[Any],
    spacing_mm: Sequence[float],
    final_classes: Mapping[str, Sequence[int]],
    metrics: Sequence[str],
    *,
    options: Mapping[str, Mapping[str, float]] | None = None,
    empty: EmptyRule | None = None,
    labels: Sequence[int] | None = None,
    ignore_label: int | None = None,
) -> dict[str, float]:
    """Score a predicted label map.

    Args:
        prediction_xyz: (X, Y, Z) label values.
        reference_xyz: (X, Y, Z) label values, on the same grid.
        spacing_mm: size of a voxel along each axis.
        final_classes: name of each class to the label values that form it.
        metrics: names from METRICS.
        options: of a metric, such as {"surface_dice": {"tolerance_mm": 2}}.
        empty: the values of classes that are missing in a label map or in both; MIST's rule by default.
        labels: all values that may occur; None allows any whole number.
        ignore_label: value in the reference of voxels that count as background in both.

    Returns:
        Value by column, class by class; columns.py says how columns are called.

    Raises:
        ValueError: the shapes differ or are not 3D, a label is not a whole number or not allowed, or a name is unknown.
    """
    empty = empty or EmptyRule()
    findings = check_metrics(metrics, options) + empty.findings()
    if prediction_xyz.shape != reference_xyz.shape or reference_xyz.ndim != 3:
        shapes = f"the prediction has the shape {prediction_xyz.shape} and the reference {reference_xyz.shape}"
        findings.append(f"{shapes}; expected the same three dimensions.")
    if findings:
        raise ValueError(" ".join(findings))
    if reference_xyz.flags.f_contiguous:  # as NIfTI files are; no metric minds which axis is the first
        prediction_xyz, reference_xyz, spacing_mm = prediction_xyz.T, reference_xyz.T, spacing_mm[::-1]
    if ignore_label is not None:
        known = reference_xyz != ignore_label
        reference_xyz, prediction_xyz = reference_xyz * known, prediction_xyz * known
    worst_mm = empty.distance_mm or image_diagonal_mm(reference_xyz.shape, spacing_mm)
    with_background = any(0 in members for members in final_classes.values())
    prediction, reference = _cut_to_labels(prediction_xyz, reference_xyz, whole=with_background)
    if labels is not None:
        _check_labels(prediction, labels, "prediction")
        _check_labels(reference, labels, "reference")
    scores = {}
    columns = column_names(final_classes, metrics)
    # for few classes the search for their boxes costs more than it saves
    boxes = _label_boxes(prediction, reference) if len(final_classes) > _FEW_CLASSES else None
    for class_name, members in final_classes.items():
        part = _class_part(boxes, members)
        pair = MaskPair(_mask(prediction[part], members), _mask(reference[part], members), spacing_mm, worst_mm)
        for name in metrics:
            scores[columns[class_name, name]] = _score(METRICS[name], pair, empty, (options or {}).get(name, {}))
    return scores


def without_unknown(
    scores: Mapping[str, float],
    final_classes: Mapping[str, Sequence[int]],
    metrics: Sequence[str],
    unlabelled: Collection[int],
) -> dict[str, float]:
    """The scores with NaN for every class that holds a label that was not annotated in the case.

    Args:
        scores: result of `score_case`.
        final_classes: as for `score_case`.
        metrics: the same.
        unlabelled: labels that were not annotated.
    """
    known = dict(scores)
    if not unlabelled:
        return known
    columns = column_names(final_classes, metrics)
    for name, members in final_classes.items():
        if not set(unlabelled).isdisjoint(members):
            for metric in metrics:
                known[columns[name, metric]] = math.nan
    return known


def _score(metric: MetricRow, pair: MaskPair, empty: EmptyRule, options: Mapping[str, Any]) -> float:
    num_empty = (pair.counts.prediction == 0) + (pair.counts.reference == 0)
    best_or_missing = metric.best if empty.both_empty == BEST else math.nan
    if num_empty == 2 and not metric.defined_for_both_empty:
        return best_or_missing
    if num_empty == 1 and not metric.defined_for_one_empty:
        worst = metric.worst_value(pair.worst_mm)
        return math.nan if empty.one_empty == MISSING or worst is None else worst
    value = metric_function(metric)(getattr(pair, metric.of), **options)
    # lesion by lesion there may be nothing to score although there are voxels
    return best_or_missing if math.isnan(value) else value


def metric_function(metric: MetricRow) -> Callable[..., float]:
    """The function of a row, which takes what `of` says and the options."""
    module, name = metric.function.split(".")
    function: Callable[..., float] = getattr(_MODULES[module], name)
    return function


def _cut_to_labels(
    prediction: NDArray[Any], reference: NDArray[Any], *, whole: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both label maps inside the box around all labels (or whole), as whole numbers in the same memory order."""
    box: Box | None = whole_box(prediction.shape)
    if not whole:
        box = bounding_box((prediction != 0) | (reference != 0))
    part = box_slices(box or NO_BOX)
    return _whole_numbers(prediction[part], "prediction"), _whole_numbers(reference[part], "reference")


def _whole_numbers(array: NDArray[Any], role: str) -> NDArray[Any]:
    numbers = as_labels(array)
    if numbers.dtype.kind == "f":
        raise ValueError(f"The {role} holds {array[not_labels(array)][0]:g}; labels must be whole numbers.")
    return np.ascontiguousarray(numbers)


def _label_boxes(*label_maps: NDArray[Any]) -> dict[int, list[Slices]] | None:
    """The boxes around each label in the label maps that hold it; None where their labels cannot serve as indices."""
    from scipy import ndimage

    boxes: dict[int, list[Slices]] = defaultdict(list)
    for labels in label_maps:
        if labels.size == 0 or labels.dtype.kind == "b" or labels.min() < 0 or labels.max() > _MAX_BOXES:
            return None
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            if box is not None:
                boxes[label].append(box)
    return boxes


def _class_part(boxes: Mapping[int, list[Slices]] | None, labels: Sequence[int]) -> Slices:
    """The part of both label maps that holds all voxels with these labels; the whole where boxes are not known."""
    if boxes is None or 0 in labels:
        return (slice(None),) * 3
    parts: list[Slices] = []
    for label in labels:
        parts += boxes.get(label, [])
    return union(parts) if parts else box_slices(NO_BOX)


def _mask(labels: NDArray[Any], values: Sequence[int]) -> NDArray[np.bool_]:
    mask = np.zeros(labels.shape, dtype=bool)
    for value in values:
        mask |= labels == value
    return mask


def present_labels(array: NDArray[Any]) -> list[int]:
    """The whole numbers that a label map holds, ascending; without the sorting of numpy.unique where it can be."""
    if array.dtype.kind in "ub" and array.dtype.itemsize <= 2:
        seen = np.zeros(np.iinfo(np.uint16).max + 1, dtype=bool)
        seen[array.ravel(order="K")] = True
        present = np.flatnonzero(seen)
    else:
        present = np.unique(array)
    return list(map(int, present))


def _check_labels(array: NDArray[Any], labels: Sequence[int], role: str) -> None:
    unknown = sorted(set(present_labels(array)) - {0, *labels})
    if unknown:
        described = list(map(str, unknown))
        for index, label in enumerate(unknown[:MOST_NAMES]):  # counting takes a pass over all voxels for each
            described[index] = f"{label} ({counted(int(np.count_nonzero(array == label)), 'voxel')})"
        raise ValueError(f"The {role} holds the label {list_names(described)}; expected only {list(labels)}.")
