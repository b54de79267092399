"""What may be compared, what is refused and why, and the paired differences."""

from __future__ import annotations

import pytest

from mist_bundle.evaluation.comparable import comparable
from mist_bundle.evaluation.compare import compare_runs
from tests.evaluation.samples import make_run

IDS = ("001", "002", "003", "004")


def test_differences_by_hand() -> None:
    first = {"1": (0.5, 4.0), "2": (0.6, 5.0), "3": (0.7, 6.0)}
    other = {"1": (0.6, 5.0), "2": (0.8, 3.0), "3": (0.7, 6.0)}
    runs = [
        make_run(name, {case: {"x_dice": dice, "x_hd95": hd95} for case, (dice, hd95) in table.items()})
        for name, table in (("old", first), ("new", other))
    ]
    dice, hd95 = compare_runs(comparable(runs), resamples=500).differences
    assert (dice.run, dice.column) == ("new", "x_dice")
    assert (dice.first, dice.other, dice.difference) == pytest.approx((0.6, 0.7, 0.1))
    assert (dice.better, dice.worse) == (2, 0)
    # two cases differ, the same way: two of four signs; twice that for two tests
    assert (dice.p, dice.p_holm) == pytest.approx((0.5, 1.0))
    assert dice.low <= 0.1 <= dice.high
    assert hd95.difference == pytest.approx(-1 / 3)
    assert (hd95.better, hd95.worse) == (1, 1), "a longer distance is worse"


def test_several_runs_are_each_compared_with_the_first() -> None:
    values = {"a": [0.1, 0.2, 0.3, 0.4], "b": [0.2, 0.3, 0.4, 0.5], "c": [0.0, 0.1, 0.2, 0.3]}
    runs = [make_run(name, {str(case): {"x_dice": dice} for case, dice in enumerate(values[name])}) for name in values]
    differences = compare_runs(comparable(runs), resamples=100).differences
    assert [(one.run, round(one.difference, 9)) for one in differences] == [("b", 0.1), ("c", -0.1)]
