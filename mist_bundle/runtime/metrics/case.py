"""All metrics of one case: a predicted and a reference label map become one row of results.

Everything is cut to the box around the labels first, and what several metrics need is computed once per class.

Empty masks, unless told otherwise (MIST's rule): a class that is in neither label map has the best value (1, or 0 mm);
a class that is in only one of them has the worst (0, or the diagonal of the whole image in mm). The volume difference
is a plain number of millilitres in both cases.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.crop import bounding_box
from . import overlap, surface
from .overlap import OverlapCounts, count_overlap
from .surface import SurfaceDistances

BEST, WORST, MISSING = "best", "worst", "nan"
_DIAGONAL = math.inf  # stands for the diagonal of the image in mm


class ClassPair:
    """The two masks of one class; counts and surface distances are computed when first asked for, and kept.

    Args:
        prediction: (X, Y, Z) mask.
        reference: (X, Y, Z) mask.
        spacing_mm: size of a voxel along each axis.
    """

    def __init__(
        self, prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: Sequence[float]
    ) -> None:
        box = bounding_box(prediction | reference) or ((0, 0, 0), (0, 0, 0))
        part = tuple(slice(start, stop) for start, stop in zip(*box, strict=True))
        self.prediction = prediction[part]
        self.reference = reference[part]
        self.spacing_mm = tuple(spacing_mm)

    @cached_property
    def counts(self) -> OverlapCounts:
        """Voxels of each mask and of both."""
        return count_overlap(self.prediction, self.reference, math.prod(self.spacing_mm))

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Distances between the two surfaces; both masks must have voxels."""
        return SurfaceDistances(self.prediction, self.reference, self.spacing_mm)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric and what is known about it.

    Attributes:
        function: takes OverlapCounts, or SurfaceDistances when `of_surfaces`, and the metric's options.
        best: value of a perfect prediction.
        worst: value where only one of the masks has voxels; infinity stands for the image's diagonal in mm, and None
            for a function that is defined there.
        of_surfaces: whether the function takes SurfaceDistances.
        options: names of the keyword arguments that may be set.
    """

    function: Callable[..., float]
    best: float
    worst: float | None
    of_surfaces: bool = False
    options: tuple[str, ...] = ()

    @property
    def higher_is_better(self) -> bool:
        """The direction in which to rank."""
        return self.best > 0


METRICS: Mapping[str, Metric] = {
    "dice": Metric(function=overlap.dice, best=1.0, worst=0.0),
    "iou": Metric(function=overlap.iou, best=1.0, worst=0.0),
    "sensitivity": Metric(function=overlap.sensitivity, best=1.0, worst=0.0),
    "precision": Metric(function=overlap.precision, best=1.0, worst=0.0),
    "volume_difference": Metric(function=overlap.volume_difference, best=0.0, worst=None),
    "hd95": Metric(function=surface.hd95, best=0.0, worst=_DIAGONAL, of_surfaces=True),
    "hausdorff": Metric(function=surface.hausdorff, best=0.0, worst=_DIAGONAL, of_surfaces=True),
    "surface_dice": Metric(
        function=surface.surface_dice, best=1.0, worst=0.0, of_surfaces=True, options=("tolerance_mm",)
    ),
    "normalized_surface_distance": Metric(
        function=surface.normalized_surface_distance, best=1.0, worst=0.0, of_surfaces=True, options=("tolerance_mm",)
    ),
    "average_surface_distance": Metric(
        function=surface.average_surface_distance, best=0.0, worst=_DIAGONAL, of_surfaces=True
    ),
}


def check_metrics(metrics: Sequence[str], options: Mapping[str, Mapping[str, float]] | None = None) -> list[str]:
    """What is wrong with names of metrics and their options: one sentence each, none when all is well."""
    findings = []
    for name in metrics:
        if name not in METRICS:
            near = difflib.get_close_matches(name, METRICS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            findings.append(f"{name!r} is no metric; known: {', '.join(METRICS)}.{hint}")
    for name, values in (options or {}).items():
        if name not in metrics:
            findings.append(f"options are given for {name!r}, which is not among the metrics {list(metrics)}.")
        elif unknown := [key for key in values if name in METRICS and key not in METRICS[name].options]:
            findings.append(f"{name} has no option {unknown}; known: {list(METRICS[name].options)}.")
    return findings


def score_case(
    prediction_xyz: NDArray[Any],
    reference_xyz: NDArray[Any],
    spacing_mm: Sequence[float],
    final_classes: Mapping[str, Sequence[int]],
    metrics: Sequence[str],
    *,
    options: Mapping[str, Mapping[str, float]] | None = None,
    both_empty: str = BEST,
    one_empty: str = WORST,
) -> dict[str, float]:
    """Score one predicted label map.

    Args:
        prediction_xyz: (X, Y, Z) label values.
        reference_xyz: (X, Y, Z) label values, on the same grid.
        spacing_mm: size of a voxel along each axis.
        final_classes: name of each class to the label values that form it.
        metrics: names from METRICS.
        options: of a metric, such as {"surface_dice": {"tolerance_mm": 2}}.
        both_empty: "best" or "nan": the value of a class that is in neither label map. NaN is left out of statistics.
        one_empty: "worst" or "nan": the value of a class that is in only one of them.

    Returns:
        "<class>_<metric>" to value, class by class.

    Raises:
        ValueError: the shapes differ or are not 3D, a label is no whole number, or a name is unknown.
    """
    findings = check_metrics(metrics, options)
    if both_empty not in (BEST, MISSING) or one_empty not in (WORST, MISSING):
        findings.append(
            f"both_empty is {both_empty!r} and one_empty {one_empty!r}; expected best or nan, worst or nan."
        )
    if prediction_xyz.shape != reference_xyz.shape or reference_xyz.ndim != 3:
        shapes = f"the prediction has the shape {prediction_xyz.shape} and the reference {reference_xyz.shape}"
        findings.append(f"{shapes}; expected the same three dimensions.")
    if findings:
        raise ValueError(" ".join(findings))
    diagonal_mm = float(np.linalg.norm(np.multiply(reference_xyz.shape, spacing_mm)))
    empty = _EmptyRule(both_empty=both_empty, one_empty=one_empty, diagonal_mm=diagonal_mm)
    whole = any(0 in labels for labels in final_classes.values())
    prediction, reference = _cut_to_labels(prediction_xyz, reference_xyz, whole=whole)
    scores = {}
    for class_name, labels in final_classes.items():
        pair = ClassPair(_mask(prediction, labels), _mask(reference, labels), spacing_mm)
        for name in metrics:
            scores[f"{class_name}_{name}"] = _score(METRICS[name], pair, empty, (options or {}).get(name, {}))
    return scores


@dataclass(frozen=True, kw_only=True, slots=True)
class _EmptyRule:
    both_empty: str
    one_empty: str
    diagonal_mm: float


def _score(metric: Metric, pair: ClassPair, empty: _EmptyRule, options: Mapping[str, float]) -> float:
    num_empty = (pair.counts.prediction == 0) + (pair.counts.reference == 0)
    if num_empty == 2:
        return metric.best if empty.both_empty == BEST else math.nan
    if num_empty == 1 and empty.one_empty == MISSING:
        return math.nan
    if num_empty == 1 and metric.worst is not None:
        return empty.diagonal_mm if metric.worst == _DIAGONAL else metric.worst
    return metric.function(pair.distances if metric.of_surfaces else pair.counts, **options)


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
    if array.dtype.kind in "iub":
        return np.ascontiguousarray(array)
    with np.errstate(invalid="ignore"):  # NaN becomes some number, and so differs below
        numbers = np.ascontiguousarray(array.astype(np.int32))
    wrong = numbers != array
    if wrong.any():
        raise ValueError(f"The {role} holds {array[wrong][0]:g}; labels must be whole numbers.")
    return numbers


def _mask(labels: NDArray[Any], values: Sequence[int]) -> NDArray[np.bool_]:
    mask = np.zeros(labels.shape, dtype=bool)
    for value in values:
        mask |= labels == value
    return mask
