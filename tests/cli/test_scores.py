"""The table of scores at the end of a command."""

from __future__ import annotations

import math

from mist_bundle.cli.scores import score_lines

ROWS = [
    {"id": f"case_{number}", "liver_dice": dice, "liver_hd95": distance}
    for number, (dice, distance) in enumerate([(0.9, 1.0), (0.5, 9.0), (math.nan, 2.0), (0.7, 3.0), (0.8, 1.5)])
]


def test_mean_median_and_the_worst_cases() -> None:
    head, dice, distance = score_lines(ROWS, width=120)
    assert head.split() == ["5", "cases", "mean", "median", "worst"]
    assert dice == "liver_dice     0.725     0.750  case_1 0.500, case_3 0.700, case_4 0.800"
    assert distance == "liver_hd95     3.300     2.000  case_1 9.000, case_3 3.000, case_2 2.000"


def test_a_narrow_terminal_names_fewer_cases() -> None:
    assert all(len(line) <= 60 for line in score_lines(ROWS, width=60))
    assert "case_3" in score_lines(ROWS, width=60)[1]
    assert "case_3" not in score_lines(ROWS, width=50)[1]
    assert score_lines([]) == []
