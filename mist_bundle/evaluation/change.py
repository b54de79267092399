"""How much better or worse predictions became: the paper's weighted average of the chosen metrics.

Metrics of different units are put on one scale first, from 0 (the worst value) to 1 (the best). For a distance the
worst value is the diagonal of the case's image, the value that a missed class counts as well:

    quality = 1 - distance / diagonal          change of a case = sum_m weight_m * change of quality_m / sum_m weight_m

where the quality of a metric is its mean over the classes. The change is the mean over all cases.
"""

from __future__ import annotations

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
    """What a treatment of predictions did.

    Attributes:
        total: weighted change of quality, positive where it helped; between -1 and 1.
        by_metric: the change of each metric's quality.
        columns: "<class>_<metric>" -> its mean before and after, in its own unit.
        improved: ids of cases that became better, and `worsened` of those that became worse.
    """

    total: float
    by_metric: Mapping[str, float]
    columns: Mapping[str, tuple[float, float]]
    improved: tuple[str, ...]
    worsened: tuple[str, ...]

    def to_json(self, weights: Mapping[str, float]) -> dict[str, Any]:
        """As it is written beside the results."""
        return {
            "change": self.total,
            "weights": dict(weights),
            "by_metric": dict(self.by_metric),
            "columns": {name: {"before": before, "after": after} for name, (before, after) in self.columns.items()},
            "improved": list(self.improved),
            "worsened": list(self.worsened),
        }


def check_weights(settings: ScoreSettings, weights: Mapping[str, float] | None) -> dict[str, float]:
    """The weight of each metric, all the same where none are given.

    Raises:
        InputError: a weight has no metric or is no weight, or a metric has no scale.
    """
    given = dict.fromkeys(settings.metrics, 1.0) if weights is None else dict(weights)
    problems = [
        Problem("--metrics", f"{name} has no worst value, so it cannot be weighed; leave it out.")
        for name in settings.metrics
        if METRICS[name].worst is None
    ]
    for name, weight in given.items():
        if name not in settings.metrics:
            problems.append(Problem("--weights", f"names {name!r}, which is not among {list(settings.metrics)}."))
        if not weight >= 0:
            problems.append(Problem("--weights", f"gives {name} the weight {weight}; expected at least 0."))
    if "nan" in (settings.empty.both, settings.empty.one):
        problems.append(Problem("--both_empty, --one_empty", "are nan, so a class that vanishes would cost nothing."))
    if not problems and not sum(given.values()) > 0:
        problems.append(Problem("--weights", "are all 0."))
    if problems:
        raise InputError(problems)
    return {name: float(given.get(name, 0.0)) for name in settings.metrics}


def quality(scored: Scored, settings: ScoreSettings, weights: Mapping[str, float]) -> float:
    """The weighted quality of one case, 0 to 1."""
    total = sum(weights.values())
    return sum(weight * _metric_quality(scored, settings, name) for name, weight in weights.items() if weight) / total


def measure_change(
    before: Sequence[Scored], after: Sequence[Scored], settings: ScoreSettings, weights: Mapping[str, float]
) -> Change:
    """Compare the same cases before and after, given in the same order."""
    gains = {
        one.id: quality(other, settings, weights) - quality(one, settings, weights)
        for one, other in zip(before, after, strict=True)
    }
    by_metric = {
        name: fmean(
            _metric_quality(other, settings, name) - _metric_quality(one, settings, name)
            for one, other in zip(before, after, strict=True)
        )
        for name in settings.metrics
    }
    columns = {
        name: (fmean(one.scores[name] for one in before), fmean(one.scores[name] for one in after))
        for name in before[0].scores
    }
    return Change(
        total=fmean(gains.values()),
        by_metric=by_metric,
        columns=columns,
        improved=tuple(name for name, gain in gains.items() if gain > 0),
        worsened=tuple(name for name, gain in gains.items() if gain < 0),
    )


def _metric_quality(scored: Scored, settings: ScoreSettings, name: str) -> float:
    metric = METRICS[name]
    worst = metric.worst_value(settings.empty.distance_mm or scored.diagonal_mm)
    if worst is None:
        raise ValueError(f"{name} has no worst value")
    columns = column_names(settings.final_classes, settings.metrics)
    values = (scored.scores[columns[class_name, name]] for class_name in settings.final_classes)
    # a distance can exceed a worst value that was set by hand
    return fmean(max(0.0, (value - worst) / (metric.best - worst)) for value in values)
