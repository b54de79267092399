"""Ranks by hand, significance, and the verb."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK
from mist_bundle.evaluation.comparable import comparable
from mist_bundle.evaluation.rank import Ranking, rank_runs
from mist_bundle.runtime.metrics.table import write_results
from tests.evaluation.samples import make_run

Table = dict[str, dict[str, float]]


def _rank(runs: dict[str, Table]) -> Ranking:
    tables = [make_run(name, scores) for name, scores in runs.items()]
    return rank_runs(comparable(tables), resamples=2000)


def test_ranks_by_hand() -> None:
    ranking = _rank(
        {
            # case 1: Dice ranks 1 2 3, HD95 ranks 2 1 3; case 2: Dice 1.5 1.5 3 (a tie), HD95 3 2 1
            "a": {"1": {"x_dice": 0.9, "x_hd95": 4.0}, "2": {"x_dice": 0.8, "x_hd95": 9.0}},
            "b": {"1": {"x_dice": 0.7, "x_hd95": 2.0}, "2": {"x_dice": 0.8, "x_hd95": 3.0}},
            "c": {"1": {"x_dice": 0.2, "x_hd95": 8.0}, "2": {"x_dice": 0.1, "x_hd95": 1.0}},
        }
    )
    np.testing.assert_allclose(ranking.by_case, [[1.5, 1.5, 3.0], [2.25, 1.75, 2.0]])
    by_name = {one.name: one for one in ranking.standings}
    assert {name: one.mean_rank for name, one in by_name.items()} == pytest.approx({"a": 1.875, "b": 1.625, "c": 2.5})
    assert [(one.place, one.name) for one in ranking.standings] == [(1, "b"), (2, "a"), (3, "c")]
    assert by_name["a"].by_column == pytest.approx({"x_dice": 1.25, "x_hd95": 2.5})
    pairs = {(one.better, one.worse): one for one in ranking.pairs}
    assert set(pairs) == {("b", "a"), ("a", "c"), ("b", "c")}
    assert pairs["b", "a"].difference == pytest.approx(0.25)
    assert (pairs["a", "c"].better_in, pairs["a", "c"].worse_in) == (1, 1)


def test_ranks_of_every_case_sum_to_the_same() -> None:
    generator = np.random.default_rng(0)
    columns = ("x_dice", "x_hd95", "y_volume_difference")
    runs = {
        name: {str(case): dict(zip(columns, generator.random(3).round(1), strict=True)) for case in range(12)}
        for name in "abcd"
    }
    assert _rank(runs).by_case.to_numpy().sum(axis=1) == pytest.approx(np.full(12, 1 + 2 + 3 + 4))


def test_equal_runs_share_the_place_and_differ_by_nothing() -> None:
    scores = {str(case): {"x_dice": case / 10} for case in range(6)}
    worse = {name: {"x_dice": row["x_dice"] - 0.05} for name, row in scores.items()}
    ranking = _rank({"a": scores, "b": scores, "c": worse})
    assert [(one.place, one.mean_rank) for one in ranking.standings] == [(1, 1.5), (1, 1.5), (3, 3.0)]
    assert [one.first for one in ranking.standings] == [0.5, 0.5, 0.0]
    pairs = {frozenset((one.better, one.worse)): one for one in ranking.pairs}
    assert (pairs[frozenset("ab")].p, pairs[frozenset("ab")].p_holm) == (1.0, 1.0)
    # always one and a half ranks apart in six cases: two of 2^6 sign patterns; the smallest of three p times three
    assert pairs[frozenset("ac")].p == pytest.approx(2 / 64)
    assert pairs[frozenset("ac")].p_holm == pytest.approx(6 / 64)


def test_interval_holds_the_mean_and_narrows_with_more_cases() -> None:
    generator = np.random.default_rng(2)
    widths = []
    for count in (8, 200):
        runs = {
            name: {f"{case:03d}": {"x_dice": value} for case, value in enumerate(generator.normal(mean, 0.1, count))}
            for name, mean in (("a", 0.80), ("b", 0.78))
        }
        for one in (ranking := _rank(runs)).standings:
            assert one.low <= one.mean_rank <= one.high
        assert sum(one.first for one in ranking.standings) == pytest.approx(1)
        widths.append(ranking.standings[0].high - ranking.standings[0].low)
    assert widths[1] < widths[0] / 2


def test_value_that_no_run_has_is_left_out() -> None:
    nan = float("nan")
    ranking = _rank(
        {
            "a": {"1": {"x_dice": 0.9, "y_dice": nan}, "2": {"x_dice": nan, "y_dice": nan}},
            "b": {"1": {"x_dice": 0.5, "y_dice": nan}, "2": {"x_dice": nan, "y_dice": nan}},
        }
    )
    assert ranking.ids == ("1",)
    assert ranking.by_case.to_numpy().tolist() == [[1.0, 2.0]]
    assert ranking.standings[0].by_column == {"x_dice": 1.0}


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    for name, shift in (("a", 0.0), ("b", 0.1)):
        rows = [{"id": f"{case:03d}", "x_dice": case / 10 + shift, "x_hd95": 9 - case - shift} for case in range(1, 8)]
        write_results(tmp_path / name / "results.csv", rows)
    return tmp_path


def test_verb_prints_and_writes_the_ranking(capsys: pytest.CaptureFixture[str], tables: Path) -> None:
    output = tables / "ranking"
    words = [str(tables / "a/results.csv"), str(tables / "b/results.json"), "--output", str(output)]
    assert cli.main(["rank", *words]) == EXIT_OK
    printed = capsys.readouterr().out
    assert "  1. b     1.0000  1.0000 - 1.0000    100.0%" in printed
    assert "b before a: by 1.0000, better in 7 and worse in 0 of 7 cases; p = 0.016" in printed
    content = json.loads((output / "ranking.json").read_text())
    assert [one["name"] for one in content["ranking"]] == ["b", "a"]
    with (output / "ranks_by_case.csv").open(newline="") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == [f"{case:03d}" for case in range(1, 8)]
    with (output / "ranking.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["x_hd95"] == "1.0"
    with (output / "significance.csv").open(newline="") as stream:
        assert float(next(csv.DictReader(stream))["p"]) == pytest.approx(2 / 128)
    assert cli.main(["rank", *words]) == EXIT_INPUT_REFUSED
    assert "--overwrite" in capsys.readouterr().err
    assert cli.main(["rank", *words, "--overwrite", "--names", "001,1e3", "--metrics", "hd95"]) == EXIT_OK
    assert "1. 1e3" in capsys.readouterr().out
    assert list(json.loads((output / "ranking.json").read_text())["ranking"][0]["by_column"]) == ["x_hd95"]


def test_verb_refuses(capsys: pytest.CaptureFixture[str], tables: Path) -> None:
    both = [str(tables / "a/results.csv"), str(tables / "b/results.csv")]
    output = ["--output", str(tables / "ranking")]
    for words, said in (
        (both[:1], "results: 1 given; expected at least two"),
        ([*both, "--names", "a"], "gives 1 names for 2 results"),
        ([*both, "--names", "a,a"], "--names: is ['a', 'a']"),
        ([*both, "--metrics", "iou"], "'iou' is not a column or metric that all of these results have"),
        ([*both, "--resamples", "0"], "--resamples: is 0"),
        ([*both, "--directions", '{"x_dice": "up"}'], "expected higher or lower"),
        ([both[0], str(tables / "nothing.csv")], "nothing.csv: cannot be read"),
        ([both[0], str(tables)], "is not a regular file"),
    ):
        assert cli.main(["rank", *words, *output]) == EXIT_INPUT_REFUSED
        assert said in capsys.readouterr().err
    assert not (tables / "ranking").exists()
