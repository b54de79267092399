"""Scores by case, class and metric."""

from __future__ import annotations

import math

import pytest

from mist_bundle.report.score_table import ScoreTable, higher_is_better

NAN = float("nan")
ROWS = [
    {"id": "2", "liver_dice": 0.8, "liver_hd95": 4.0, "kidney_dice": 0.4, "kidney_hd95": 9.0},
    {"id": "1", "liver_dice": 0.5, "liver_hd95": 5.0, "kidney_dice": NAN, "kidney_hd95": 1.0},
    {"id": "3", "liver_dice": NAN, "liver_hd95": 2.0, "kidney_dice": NAN, "kidney_hd95": 2.0},
]
TABLE = ScoreTable(ROWS, ["liver", "kidney"])


def test_columns_are_split_into_class_and_metric() -> None:
    assert TABLE.ids == ["2", "1", "3"]
    assert TABLE.classes == ["liver", "kidney"]
    assert TABLE.metrics == ["dice", "hd95"]
    assert TABLE.scores.loc["2", ("kidney", "hd95")] == 9.0
    assert list(TABLE.of_metric("hd95").columns) == ["liver", "kidney"]


def test_the_mean_of_a_case_ignores_undefined_values() -> None:
    means = TABLE.case_means("dice")
    assert means["2"] == pytest.approx(0.6)
    assert means["1"] == pytest.approx(0.5)
    assert math.isnan(means["3"])
    assert TABLE.case_means("iou").empty


def test_cases_are_ordered_by_dice_and_by_the_first_metric_without_it() -> None:
    assert TABLE.worst_first() == ["1", "2"], "the case without a Dice is left out"
    distances = ScoreTable([{key: value for key, value in row.items() if "dice" not in key} for row in ROWS], ["liver"])
    assert distances.main_metric == "hd95"
    assert distances.worst_first() == ["1", "2", "3"]
    ties = ScoreTable([{"id": name, "a_dice": 0.5} for name in ("c", "a", "b")], ["a"])
    assert ties.worst_first() == ["a", "b", "c"]


def test_the_worst_class_of_a_case() -> None:
    assert [TABLE.worst_class(case) for case in ("2", "1", "3")] == ["kidney", "liver", ""]
    distances = ScoreTable([{"id": "1", "a_hd95": 2.0, "b_hd95": 7.0}], ["a", "b"])
    assert distances.worst_class("1") == "b"


def test_other_classes_and_repeated_metrics_are_left_out() -> None:
    table = ScoreTable([{"id": "1", "a_hd95": 1.0, "a_haus95": 2.0, "b_hd95": 3.0}], ["a"])
    assert table.scores.loc["1"].to_dict() == {("a", "hd95"): 1.0}
    nothing = ScoreTable([{"id": "1", "x_dice": 1.0}], ["a"])
    assert (nothing.metrics, nothing.main_metric, nothing.worst_first(), nothing.worst_class("1")) == ([], None, [], "")


def test_directions() -> None:
    assert higher_is_better("dice")
    assert not higher_is_better("hd95")
    assert higher_is_better("my_score")
