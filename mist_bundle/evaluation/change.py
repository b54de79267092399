"""How much predictions improved or got worse: the paper's weighted average over the chosen metrics.

Metrics of different units are first put on one scale, from 0 (worst) to 1 (best). For a distance the worst value is the
diagonal of the case's image, which is also the value that a missed class gets:

    quality = 1 - distance / diagonal          change of a case = sum_m weight_m * change of quality_m / sum_m weight_m

The quality of a metric is its mean over the classes, and the total change is the mean over all cases.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.evaluation.score import Scored, ScoreSettings
from mist_bundle.runtime.metrics.columns import column_names
from mist_bundle.runtime.metrics.menu import METRICS


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """The effect of a post-processing on predictions.

    Attributes:
        total: weighted change of quality between -1 and 1, positive where it helped.
        by_metric: the change of each metric's quality.
        columns: "<class>_<metric>" -> its mean before and after, in its own unit.
        improved: ids of the cases that improved.
        worsened: ids of the cases that got worse.
    """

    total: float
    by_metric: Mapping[str, float]
    columns: Mapping[str, tuple[float, float]]
    improved: tuple[str, ...]
    worsened: tuple[str, ...]

    def to_json(self, weights: Mapping[str, float]) -> dict[str, Any]:
        """The content of change.json."""
        columns = {}
        for name, (before, after) in self.columns.items():
            columns[name] = {"before": before, "after": after}
        return {
            "change": self.total,
            "weights": dict(weights),
            "by_metric": dict(self.by_metric),
            "columns": columns,
            "improved": list(self.improved),
            "worsened": list(self.worsened),
        }


def check_weights(settings: ScoreSettings, weights: Mapping[str, float] | None) -> dict[str, float]:
    """The weight of each metric; all metrics weigh the same by default.

    Raises:
        InputError: a weight is negative or belongs to no metric, or a metric has no worst value.
    """
    if weights is None:
        weights = dict.fromkeys(settings.metrics, 1.0)
    problems = []
    for metric in settings.metrics:
        if METRICS[metric].worst is None:
            problems.append(
                Problem("--metrics", f"{metric} has no worst value, so it cannot be weighed; leave it out.")
            )
    for metric, weight in weights.items():
        if metric not in settings.metrics:
            problems.append(Problem("--weights", f"names {metric!r}, which is not among {list(settings.metrics)}."))
        if not weight >= 0:  # also true of NaN
            problems.append(Problem("--weights", f"gives {metric} the weight {weight}; expected at least 0."))
    if "nan" in (settings.empty.both_empty, settings.empty.one_empty):
        problems.append(Problem("--both_empty, --one_empty", "are nan, so a class that vanishes would cost nothing."))
    if not problems and not sum(weights.values()) > 0:
        problems.append(Problem("--weights", "are all 0."))
    if problems:
        raise InputError(problems)
    return {metric: float(weights.get(metric, 0.0)) for metric in settings.metrics}


def quality(scored: Scored, settings: ScoreSettings, weights: Mapping[str, float]) -> float:
    """The weighted mean quality of a case, 0 to 1."""
    weighted_sum = 0.0
    for metric, weight in weights.items():
        if weight:
            weighted_sum += weight * metric_quality(scored, settings, metric)
    return weighted_sum / sum(weights.values())


def metric_quality(scored: Scored, settings: ScoreSettings, name: str) -> float:
    """The quality of a case by a single metric: the mean over the classes, 0 to 1.

    Raises:
        ValueError: the metric has no worst value.
    """
    metric = METRICS[name]
    worst = metric.worst_value(settings.empty.distance_mm or scored.diagonal_mm)
    if worst is None:
        raise ValueError(f"{name} has no worst value")
    columns = column_names(settings.final_classes, settings.metrics)
    qualities = []
    for class_name in settings.final_classes:
        value = scored.scores[columns[class_name, name]]
        share = (value - worst) / (metric.best - worst)
        qualities.append(max(0.0, share))  # a distance can exceed a worst value that was set by hand
    return fmean(qualities)


def measure_change(
    before: Sequence[Scored], after: Sequence[Scored], settings: ScoreSettings, weights: Mapping[str, float]
) -> Change:
    """Compare the scores of the same cases, in the same order, before and after."""
    gains = []
    improved = []
    worsened = []
    metric_gains: dict[str, list[float]] = defaultdict(list)
    for old, new in zip(before, after, strict=True):
        gain = quality(new, settings, weights) - quality(old, settings, weights)
        gains.append(gain)
        if gain > 0:
            improved.append(old.id)
        elif gain < 0:
            worsened.append(old.id)
        for metric in settings.metrics:
            difference = metric_quality(new, settings, metric) - metric_quality(old, settings, metric)
            metric_gains[metric].append(difference)
    columns = {}
    for column in before[0].scores:
        columns[column] = (_column_mean(before, column), _column_mean(after, column))
    return Change(
        total=fmean(gains),
        by_metric=dict(zip(metric_gains, map(fmean, metric_gains.values()), strict=True)),
        columns=columns,
        improved=tuple(improved),
        worsened=tuple(worsened),
    )


def _column_mean(cases: Sequence[Scored], column: str) -> float:
    return fmean(case.scores[column] for case in cases)
