"""The metrics on the menu. The table itself stands in runtime/metrics/menu.py, for bundles score themselves by it."""

from __future__ import annotations

from mist_bundle.runtime.metrics.menu import (
    DEFAULT_METRICS,
    HIGHER,
    LOWER,
    METRICS,
    MetricRow,
    metric_name,
    unknown_metrics,
)

__all__ = ["DEFAULT_METRICS", "HIGHER", "LOWER", "METRICS", "MetricRow", "metric_name", "unknown_metrics"]
