"""What may be compared, what is refused and why, and the paired differences."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, InputError
from mist_bundle.evaluation.compare import compare_runs
from mist_bundle.evaluation.runs import Run, comparable, read_runs
from mist_bundle.runtime.metrics.table import write_results

IDS = ("001", "002", "003", "004")


def _run(name: str, values: list[float], **more) -> Run:
    return Run(name=name, scores={one: {"x_dice": value} for one, value in zip(IDS, values, strict=True)}, **more)


def _problems(*runs: Run, **how) -> list[str]:
    with pytest.raises(InputError) as caught:
        comparable(runs, **how)
    return [str(problem) for problem in caught.value.problems]


def test_differences_by_hand() -> None:
    first = {"1": (0.5, 4.0), "2": (0.6, 5.0), "3": (0.7, 6.0)}
    other = {"1": (0.6, 5.0), "2": (0.8, 3.0), "3": (0.7, 6.0)}
    runs = [
        Run(name=name, scores={case: {"x_dice": dice, "x_hd95": hd95} for case, (dice, hd95) in table.items()})
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
    runs = [_run("a", [0.1, 0.2, 0.3, 0.4]), _run("b", [0.2, 0.3, 0.4, 0.5]), _run("c", [0.0, 0.1, 0.2, 0.3])]
    differences = compare_runs(comparable(runs), resamples=100).differences
    assert [(one.run, round(one.difference, 9)) for one in differences] == [("b", 0.1), ("c", -0.1)]


def test_other_cases_columns_failures_and_labels_are_all_named() -> None:
    first = _run("a", [0.1, 0.2, 0.3, 0.4], labels={"x": (1, 2)})
    other = Run(
        name="b",
        scores={one: {"y_dice": 0.5} for one in ("001", "003", "1")},
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
    runs = [
        Run(name=name, scores={"1": {"x_dice": 0.5, f"x_{more}": 1.0}}) for name, more in (("a", "iou"), ("b", "hd95"))
    ]
    shared = comparable(runs)
    assert shared.columns == ("x_dice",)
    assert [str(problem) for problem in shared.left_out] == [
        "a: has the column x_iou, which not every run has; left out of the comparison.",
        "b: has the column x_hd95, which not every run has; left out of the comparison.",
    ]
    for wanted in ("dice", "x_dice"):
        assert comparable(runs, [wanted]).columns == ("x_dice",)
    assert (
        "'iou' is no column and no metric of all these results; known: x_dice." in _problems(*runs, metrics=["iou"])[0]
    )


def test_long_lists_are_cut() -> None:
    first = Run(name="a", scores={f"{case:02d}": {"x_dice": 0.5} for case in range(20)})
    problem = _problems(first, Run(name="b", scores={"00": {"x_dice": 0.5}}))[0]
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
    assert problem.startswith("x_dice: has a value in some runs and none in others for the case 002.")
    nothing = _run("a", [float("nan")] * 4)
    assert "hold no value" in _problems(nothing, nothing)[0]


def test_unknown_metric_needs_a_direction() -> None:
    runs = [Run(name=name, scores={"1": {"x_kappa": value}}) for name, value in (("a", 0.1), ("b", 0.3))]
    assert "x_kappa: is no metric on the menu" in _problems(*runs)[0]
    for direction, better in (("higher", 1), ("lower", 0)):
        (difference,) = compare_runs(comparable(runs, directions={"x_kappa": direction}), resamples=10).differences
        assert difference.better == better


def test_mists_tables_are_understood(tmp_path: Path) -> None:
    # the metrics have other names there and the statistics another order
    for name, offset in (("a", 0.0), ("b", 1.0)):
        rows = ["id,WT_dice,WT_haus95,WT_lesion_wise_haus95", f"001,0.5,{4 + offset},{5 + offset}"]
        rows += [f"{one},0.5,1,1" for one in ("Mean", "Std", "25th Percentile", "Median", "75th Percentile")]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    runs = comparable(read_runs([tmp_path / "a.csv", tmp_path / "b.csv"]))
    assert runs.ids == ("001",)
    assert runs.names == ("a", "b")
    assert dict(zip(runs.columns, runs.lower, strict=True)) == {
        "WT_dice": False,
        "WT_haus95": True,
        "WT_lesion_wise_haus95": True,
    }


def test_failed_case_beside_a_table_is_not_passed_over(tmp_path: Path) -> None:
    rows = [{"id": one, "x_dice": 0.5} for one in IDS]
    write_results(tmp_path / "a.csv", rows)
    write_results(tmp_path / "b.csv", rows[:3], {"004": "has no prediction"})
    with pytest.raises(InputError, match="b: 004: was not scored: has no prediction"):
        comparable(read_runs([tmp_path / "a.csv", tmp_path / "b.csv"]))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ('{"cases": 3}', "is no JSON file of results"),
        ('{"cases": [{"id": "1", "x_dice": "good"}]}', "a score that is no number"),
        ('{"cases": [{"id": "1", "x_dice": 1}, {"id": "1", "x_dice": 1}]}', "holds the ids ['1'] more than once"),
        ('{"cases": []}', "holds no scores"),
    ],
)
def test_damaged_json_is_refused(tmp_path: Path, content: str, said: str) -> None:
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(content)
    with pytest.raises(InputError) as caught:
        read_runs([tmp_path / "a.json", tmp_path / "b.json"])
    assert said in str(caught.value)
    assert len(caught.value.problems) == 2


@pytest.fixture
def bundles(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> list[Path]:
    """Three bundles of one data set: the last with other folds. Their results are made up."""
    data = make_phantom(tmp_path / "data", num_cases=6, num_test=0, shape=(16, 16, 12))
    made = []
    for name, seed in (("one", "1"), ("two", "1"), ("other", "2")):
        words = [str(data), "--output", str(tmp_path / name), "--folds", "3", "--seed", seed, "--recipe", "quick"]
        assert cli.main(["autoconfig", *words]) == EXIT_OK
        (bundle,) = (tmp_path / name).glob("*_segmentation")
        cases = [entry["id"] for entry in json.loads((bundle / "configs/datalist.json").read_text())["training"]]
        generator = np.random.default_rng(int(seed))
        rows = [{"id": case, "organ_dice": float(generator.random())} for case in cases]
        write_results(bundle.with_name(f"{bundle.name}_work") / "results.csv", rows)
        made.append(bundle)
    capsys.readouterr()
    return made


def test_verb_compares_bundles_of_the_same_folds_only(
    capsys: pytest.CaptureFixture[str], bundles: list[Path], tmp_path: Path
) -> None:
    one, two, other = map(str, bundles)
    words = ["--output", str(tmp_path / "comparison"), "--resamples", "100"]
    assert cli.main(["compare", one, other, "--names", "one,other", *words]) == EXIT_INPUT_REFUSED
    errors = capsys.readouterr().err
    assert "other: holds out the cases " in errors
    assert "with other cases than one: other folds." in errors
    assert not (tmp_path / "comparison").exists()
    assert cli.main(["compare", one, two, "--names", "one,two", *words]) == EXIT_OK
    printed = capsys.readouterr().out
    assert "two - one, 6 cases:" in printed
    assert "+0.0000 [+0.0000, +0.0000]  0 better, 0 worse  p = 1.000" in printed
    assert "Folds were not compared" not in printed
    content = json.loads((tmp_path / "comparison/comparison.json").read_text())
    assert content["folds_compared"]
    with (tmp_path / "comparison/differences_by_case.csv").open(newline="") as stream:
        assert [float(row["organ_dice"]) for row in csv.DictReader(stream)] == [0.0] * 6
    table = bundles[2].with_name(f"{bundles[2].name}_work") / "results.csv"
    assert cli.main(["compare", one, str(table), *words, "--overwrite"]) == EXIT_OK
    assert "Folds were not compared" in capsys.readouterr().out
    (bundles[0].with_name(f"{bundles[0].name}_work") / "results.csv").unlink()
    assert cli.main(["compare", one, two, *words, "--overwrite"]) == EXIT_INPUT_REFUSED
    assert "has no results yet" in capsys.readouterr().err
