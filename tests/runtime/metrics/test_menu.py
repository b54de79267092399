"""Every row of the table says what its function does."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from mist_bundle.runtime.metrics.case import EmptyRule, check_metrics, score_case
from mist_bundle.runtime.metrics.lesions import Lesions
from mist_bundle.runtime.metrics.menu import ALIASES, DEFAULT_METRICS, METRICS, metric_name, unknown_metrics

EMPTY = np.zeros((6, 6, 6), np.uint8)
FULL = np.ones_like(EMPTY)


@pytest.mark.parametrize("name", METRICS)
def test_options_are_arguments_of_the_function(name: str) -> None:
    row = METRICS[name]
    module, function = row.function.split(".")
    known = list(
        inspect.signature(getattr(import_module(f"mist_bundle.runtime.metrics.{module}"), function)).parameters
    )
    if row.of == "lesions":
        known += inspect.get_annotations(Lesions.match)
        known += ["min_volume_mm3", "dilation", "consolidation", "connectivity", "small_false_positives"]
    assert set(row.options) <= set(known)
    assert row.about
    assert row.cite


@pytest.mark.parametrize("name", METRICS)
def test_best_and_worst_are_what_a_perfect_and_a_missing_prediction_have(name: str) -> None:
    row = METRICS[name]
    assert score_case(FULL, FULL, (1, 1, 1), {"x": (1,)}, [name]) == {f"x_{name}": row.best}
    missed = score_case(EMPTY, FULL, (1, 1, 1), {"x": (1,)}, [name])[f"x_{name}"]
    worst = row.worst_value(math.sqrt(3 * 6**2))
    assert missed == pytest.approx(worst) if worst is not None else missed >= 0


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_is_defined_has_its_value_under_any_rule(name: str) -> None:
    row, rule = METRICS[name], EmptyRule(both_empty="nan", one_empty="nan")
    one = score_case(EMPTY, FULL, (1, 1, 1), {"x": (1,)}, [name], empty=rule)[f"x_{name}"]
    both = score_case(EMPTY, EMPTY, (1, 1, 1), {"x": (1,)}, [name], empty=rule)[f"x_{name}"]
    assert math.isnan(one) != row.defined_for_one_empty
    assert math.isnan(both) != row.defined_for_both_empty


def test_a_missed_class_keeps_its_volume_when_its_distance_is_left_out() -> None:
    rule = EmptyRule(one_empty="nan")
    metrics = ["dice", "volume_difference", "lesion_false_negatives"]
    scores = score_case(EMPTY, FULL, (10, 10, 10), {"x": (1,)}, metrics, empty=rule)
    assert math.isnan(scores["x_dice"])
    assert scores["x_volume_difference"] == 216
    assert scores["x_lesion_false_negatives"] == 1


def test_names_and_aliases() -> None:
    assert set(DEFAULT_METRICS) <= set(METRICS)
    assert metric_name("haus95") == "hd95"
    assert metric_name("nsd") == "normalized_surface_distance"
    assert unknown_metrics(["dice", "assd"]) == []
    assert "Did you mean 'dice'" in unknown_metrics(["dise"])[0]
    assert len(ALIASES) == sum(len(row.aliases) for row in METRICS.values())
    assert not set(ALIASES) & set(METRICS)


@pytest.mark.parametrize(
    ("metric", "option", "said"),
    [
        ("average_surface_distance", {"symmetric": "false"}, "symmetric is 'false'; expected true or false"),
        ("surface_dice", {"tolerance_mm": -1}, "tolerance_mm is -1; expected a number of at least 0"),
        ("surface_dice", {"tolerance_mm": "2"}, "tolerance_mm is '2'"),
        ("lesion_dice", {"protocol": "brats2021"}, "expected any of brats2023-gli"),
        ("lesion_f1", {"connectivity": 8}, "connectivity is 8; expected 6, 18 or 26"),
        ("lesion_f1", {"dilation": 1.5}, "dilation is 1.5; expected a whole number"),
        ("dice", {"tolerance_mm": 1}, "dice has no option"),
    ],
)
def test_wrong_values_of_options_are_named(metric: str, option: dict, said: str) -> None:
    (finding,) = check_metrics([metric], {metric: option})
    assert said in finding


def test_the_table_needs_only_the_standard_library() -> None:
    code = "import sys, mist_bundle.catalog.metrics; assert not {'numpy', 'scipy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
