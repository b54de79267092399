"""The menu of metrics says what the code does."""

from __future__ import annotations

import math

from mist_bundle.catalog.metrics import DEFAULT_METRICS, METRICS, metric_name, metric_of_column, unknown_metrics
from mist_bundle.runtime.metrics import case


def test_menu_and_code_agree() -> None:
    assert list(METRICS) == list(case.METRICS)
    for name, row in METRICS.items():
        own = case.METRICS[name]
        module = own.function.__module__.removeprefix("mist_bundle.runtime.")
        assert row.target == f"scripts.{module}.{own.function.__name__}", name
        assert row.needs == own.of, name
        assert row.best == own.best, name
        assert row.worst == {None: "", math.inf: "diagonal"}.get(own.worst, own.worst), name
        assert (row.better == "higher") == own.higher_is_better, name
        assert row.about
        assert row.cite, name


def test_names_and_aliases() -> None:
    assert set(DEFAULT_METRICS) <= set(METRICS)
    assert metric_name("haus95") == "hd95"
    assert metric_name("nsd") == "normalized_surface_distance"
    assert unknown_metrics(["dice", "assd"]) == []
    assert "Did you mean 'dice'" in unknown_metrics(["dise"])[0]
    aliases = [alias for row in METRICS.values() for alias in row.aliases]
    assert len(set(aliases)) == len(aliases)
    assert not set(aliases) & set(METRICS)


def test_metric_of_a_column_is_the_longest_that_fits() -> None:
    assert metric_of_column("WT_dice") == "dice"
    assert metric_of_column("WT_lesion_surface_dice") == "lesion_surface_dice"
    assert metric_of_column("my_class_hd95") == "hd95"
    assert metric_of_column("age") is None
