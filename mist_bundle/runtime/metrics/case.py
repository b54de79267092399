"""All metrics of one case: a predicted and a reference label map become one row of results.

Everything is cut to the box around the labels first, and what several metrics need is computed once per class.

Empty masks, unless told otherwise (MIST's rule): a class that is in neither label map has the best value (1, or 0 mm);
a class that is in only one of them has the worst (0, or the diagonal of the whole image in mm). Metrics that are
defined for empty masks keep their definition: the volume difference is a plain number of millilitres, and the
lesion-wise metrics count missed and invented lesions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import bounding_box
from ..numerics.labels import as_labels, not_labels
from . import lesions, overlap, surface
from .columns import column_names
from .menu import METRICS, MetricRow, unknown_metrics
from .pair import MaskPair

BEST, WORST, MISSING = "best", "worst", "nan"
_MAX_BOXES, _FEW_CLASSES = 1 << 16, 6
_MODULES = {"overlap": overlap, "surface": surface, "lesions": lesions}


def check_metrics(metrics: Sequence[str], options: Mapping[str, Mapping[str, float]] | None = None) -> list[str]:
    """What is wrong with names of metrics and their options: one sentence each, none when all is well."""
    findings = unknown_metrics(metrics)
    for name, values in (options or {}).items():
        if name not in metrics:
            findings.append(f"options are given for {name!r}, which is not among the metrics {list(metrics)}.")
        elif name in METRICS:
            findings += _option_findings(name, values)
    return findings


def _option_findings(name: str, values: Mapping[str, Any]) -> list[str]:
    known = METRICS[name].options
    if unknown := [key for key in values if key not in known]:
        return [f"{name} has no option {unknown}; known: {list(known)}."]
    findings = []
    for key, value in values.items():
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
    "protocol": (lambda value: value in lesions.PROTOCOLS, f"one of {', '.join(lesions.PROTOCOLS)}"),
    "min_volume_mm3": _MILLIMETRES,
    "dilation": _VOXELS,
    "consolidation": _VOXELS,
    "connectivity": (lambda value: value in (6, 18, 26), "6, 18 or 26"),
    "small_false_positives": _SWITCH,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EmptyRule:
    """What a class counts that is missing in one label map, or in both.

    Metrics that are defined for empty masks, such as the volume difference, keep their value under any rule.

    Attributes:
        both: "best" or "nan": the value of a class that is in neither label map. NaN is left out of statistics.
        one: "worst" or "nan": the value of a class that is in only one of them.
        distance_mm: the worst distance (BraTS takes 374); None takes the diagonal of the whole image.
    """

    both: str = BEST
    one: str = WORST
    distance_mm: float | None = None

    def findings(self) -> list[str]:
        """What is wrong with it: one sentence each."""
        findings = []
        if self.both not in (BEST, MISSING):
            findings.append(f"both_empty is {self.both!r}; expected {BEST} or {MISSING}.")
        if self.one not in (WORST, MISSING):
            findings.append(f"one_empty is {self.one!r}; expected {WORST} or {MISSING}.")
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
    """Score one predicted label map.

    Args:
        prediction_xyz: (X, Y, Z) label values.
        reference_xyz: (X, Y, Z) label values, on the same grid.
        spacing_mm: size of a voxel along each axis.
        final_classes: name of each class to the label values that form it.
        metrics: names from METRICS.
        options: of a metric, such as {"surface_dice": {"tolerance_mm": 2}}.
        empty: what a class counts that one label map or both have not; MIST's rule by default.
        labels: all values that may occur; None allows any whole number.
        ignore_label: value in the reference of voxels that count as background in both.

    Returns:
        Value by column, class by class; columns.py says how columns are called.

    Raises:
        ValueError: the shapes differ or are not 3D, a label is no whole number or not allowed, or a name is unknown.
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
    whole = any(0 in members for members in final_classes.values())
    prediction, reference = _cut_to_labels(prediction_xyz, reference_xyz, whole=whole)
    if labels is not None:
        _check_labels(prediction, labels, "prediction")
        _check_labels(reference, labels, "reference")
    scores = {}
    columns = column_names(final_classes, metrics)
    many = len(final_classes) > _FEW_CLASSES  # for few the search for their boxes costs more than it saves
    boxes = (_label_boxes(prediction), _label_boxes(reference)) if many else (None, None)
    for class_name, members in final_classes.items():
        part = _class_part(boxes, members)
        pair = MaskPair(_mask(prediction[part], members), _mask(reference[part], members), spacing_mm, worst_mm)
        for name in metrics:
            scores[columns[class_name, name]] = _score(METRICS[name], pair, empty, (options or {}).get(name, {}))
    return scores


def _score(metric: MetricRow, pair: MaskPair, empty: EmptyRule, options: Mapping[str, Any]) -> float:
    num_empty = (pair.counts.prediction == 0) + (pair.counts.reference == 0)
    best_or_missing = metric.best if empty.both == BEST else math.nan
    if num_empty == 2 and not metric.defined_for_both_empty:
        return best_or_missing
    if num_empty == 1 and not metric.defined_for_one_empty:
        worst = metric.worst_value(pair.worst_mm)
        return math.nan if empty.one == MISSING or worst is None else worst
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
    box = None if whole else bounding_box((prediction != 0) | (reference != 0))
    if box is None:
        box = ((0, 0, 0), prediction.shape if whole else (0, 0, 0))
    part = tuple(slice(start, stop) for start, stop in zip(*box, strict=True))
    return _whole_numbers(prediction[part], "prediction"), _whole_numbers(reference[part], "reference")


def _whole_numbers(array: NDArray[Any], role: str) -> NDArray[Any]:
    numbers = as_labels(array)
    if numbers.dtype.kind == "f":
        raise ValueError(f"The {role} holds {array[not_labels(array)][0]:g}; labels must be whole numbers.")
    return np.ascontiguousarray(numbers)


def _label_boxes(labels: NDArray[Any]) -> list[tuple[slice, ...] | None] | None:
    """The box around each label from 1 on, None where it is absent; None where labels are not numbered that way."""
    from scipy import ndimage

    if labels.size == 0 or labels.dtype.kind == "b" or labels.min() < 0 or labels.max() > _MAX_BOXES:
        return None
    found: list[tuple[slice, ...] | None] = ndimage.find_objects(labels)
    return found


def _class_part(boxes: tuple[list[tuple[slice, ...] | None] | None, ...], values: Sequence[int]) -> tuple[slice, ...]:
    """The part of both label maps that holds all voxels with these labels."""
    if 0 in values or any(one is None for one in boxes):
        return (slice(None),) * 3
    used = [one[value - 1] for one in boxes if one is not None for value in values if 0 < value <= len(one)]
    given = [box for box in used if box is not None]
    if not given:
        return (slice(0),) * 3
    return tuple(
        slice(min(one.start for one in axis), max(one.stop for one in axis)) for axis in zip(*given, strict=True)
    )


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
        return [int(label) for label in np.flatnonzero(seen)]
    return [int(label) for label in np.unique(array)]


def _check_labels(array: NDArray[Any], labels: Sequence[int], role: str) -> None:
    unknown = [label for label in present_labels(array) if label not in (0, *labels)]
    if unknown:
        found = ", ".join(f"{value} ({np.count_nonzero(array == value)} voxels)" for value in unknown[:8])
        raise ValueError(f"The {role} holds the label {found}; expected only {list(labels)}.")
