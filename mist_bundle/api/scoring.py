"""The options that say how label maps are scored, in the forms that the scorer and evaluate.json take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mist_bundle.api.kinds import SCORING


def scoring_of(options: Mapping[str, Any]) -> tuple[Sequence[str], Mapping[str, Mapping[str, Any]] | None, Any]:
    """Metrics, their options and the rule for empty masks, as `settings_from` takes them."""
    from mist_bundle.runtime.metrics.case import EmptyRule

    chosen = {}
    for name, option in SCORING.items():
        chosen[name] = options.get(name, option.default)
    rule = EmptyRule(
        both_empty=chosen["both_empty"], one_empty=chosen["one_empty"], distance_mm=chosen["empty_distance_mm"]
    )
    return chosen["metrics"], chosen["metric_options"], rule


def named_scoring(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides of evaluate.json, with metrics and their options checked and by their full names."""
    from mist_bundle.evaluation.pairs import Classes
    from mist_bundle.evaluation.score import settings_from

    settings = settings_from(Classes(final_classes={}), *scoring_of(overrides))
    named = dict(overrides)
    if "metrics" in overrides:
        named["metrics"] = list(settings.metrics)
    if "metric_options" in overrides:
        named["metric_options"] = {name: dict(options) for name, options in settings.options.items()}
    return named
