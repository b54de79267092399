"""The metrics on the menu. Their table is in runtime/metrics/menu.py, because bundles score themselves with it."""

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
