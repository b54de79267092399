"""Runs that cannot be compared fairly are refused by name."""

from __future__ import annotations

import pytest

from mist_bundle.errors import InputError
from mist_bundle.evaluation.comparable import comparable
from mist_bundle.evaluation.compare import compare_runs
from mist_bundle.evaluation.runs import Run
from tests.evaluation.samples import make_run

IDS = ("001", "002", "003", "004")


def _run(name: str, values: list[float], **more) -> Run:
    return make_run(name, {one: {"x_dice": value} for one, value in zip(IDS, values, strict=True)}, **more)


def _problems(*runs: Run, **how) -> list[str]:
    with pytest.raises(InputError) as caught:
        comparable(runs, **how)
    return [str(problem) for problem in caught.value.problems]


def test_other_cases_columns_failures_and_labels_are_all_named() -> None:
    first = _run("a", [0.1, 0.2, 0.3, 0.4], labels={"x": (1, 2)})
    other = make_run(
        "b",
        {one: {"y_dice": 0.5} for one in ("001", "003", "1")},
        failed={"002": "is cut short"},
        labels={"x": (1,)},
    )
    assert _problems(first, other) == [
        "b: 002: was not scored: is cut short",
        "b: lacks the case 004, which a has.",
        "a: lacks the case 1, which b has.",
        "b: the class x consists of the labels [1], in a of [1, 2].",
        "a: has the column x_dice, none of them common.",
        "b: has the column y_dice, none of them common.",
    ]


def test_columns_that_not_every_run_has_are_left_out_and_named() -> None:
    runs = [make_run(name, {"1": {"x_dice": 0.5, f"x_{more}": 1.0}}) for name, more in (("a", "iou"), ("b", "hd95"))]
    shared = comparable(runs)
    assert shared.columns == ("x_dice",)
    assert [str(problem) for problem in shared.left_out] == [
        "a: has the column x_iou, which not every run has; left out of the comparison.",
        "b: has the column x_hd95, which not every run has; left out of the comparison.",
    ]
    for wanted in ("dice", "x_dice"):
        assert comparable(runs, [wanted]).columns == ("x_dice",)
    assert (
        "'iou' is not a column or metric that all of these results have; known: x_dice."
        in _problems(*runs, metrics=["iou"])[0]
    )


def test_long_lists_are_cut() -> None:
    first = make_run("a", {f"{case:02d}": {"x_dice": 0.5} for case in range(20)})
    problem = _problems(first, make_run("b", {"00": {"x_dice": 0.5}}))[0]
    assert problem.startswith("b: lacks the cases 01, 02, 03, 04, 05, 06, 07, 08 and 11 more")


def test_other_folds_are_refused_and_the_cases_named() -> None:
    first = _run("a", [0.1, 0.2, 0.3, 0.4], folds=dict(zip(IDS, (0, 0, 1, 1), strict=True)))
    other = _run("b", [0.1, 0.2, 0.3, 0.4], folds=dict(zip(IDS, (0, 1, 0, 1), strict=True)))
    assert _problems(first, other) == [
        "b: holds out the cases 001, 002, 003, 004 with other cases than a: other folds."
    ]
    renumbered = _run("c", [0.1, 0.2, 0.3, 0.4], folds=dict(zip(IDS, (7, 7, 2, 2), strict=True)))
    assert comparable([first, renumbered]).folds_known == 2
    unknown = _run("d", [0.1, 0.2, 0.3, 0.4])
    assert comparable([first, unknown]).folds_known == 1


def test_value_that_only_some_runs_have_is_refused() -> None:
    runs = [_run("a", [0.1, 0.2, 0.3, 0.4]), _run("b", [0.1, float("nan"), 0.3, 0.4])]
    (problem,) = _problems(*runs)
    assert problem.startswith("x_dice: has a value in some runs but not in others for the case 002.")
    nothing = _run("a", [float("nan")] * 4)
    assert "hold no value" in _problems(nothing, nothing)[0]


def test_unknown_metric_needs_a_direction() -> None:
    runs = [make_run(name, {"1": {"x_kappa": value}}) for name, value in (("a", 0.1), ("b", 0.3))]
    assert "x_kappa: is not a metric on the menu" in _problems(*runs)[0]
    for direction, better in (("higher", 1), ("lower", 0)):
        (difference,) = compare_runs(comparable(runs, directions={"x_kappa": direction}), resamples=10).differences
        assert difference.better == better
