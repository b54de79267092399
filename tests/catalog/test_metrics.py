"""The menu of metrics is the table that bundles score by."""

from __future__ import annotations

from mist_bundle.catalog import metrics
from mist_bundle.runtime.metrics import menu


def test_menu_is_the_table_of_the_runtime() -> None:
    assert metrics.METRICS is menu.METRICS
