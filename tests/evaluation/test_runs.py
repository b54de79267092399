"""The scores of runs, from tables of several origins."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.evaluation.comparable import comparable
from mist_bundle.evaluation.runs import RunSource, read_runs
from mist_bundle.runtime.metrics.table import write_results

IDS = ("001", "002", "003", "004")


def _tables(*paths: Path) -> list[RunSource]:
    return [RunSource(path=path, table=path) for path in paths]


def test_mists_tables_are_understood(tmp_path: Path) -> None:
    # the metrics have other names there and the statistics another order
    for name, offset in (("a", 0.0), ("b", 1.0)):
        rows = ["id,WT_dice,WT_haus95,WT_lesion_wise_haus95", f"001,0.5,{4 + offset},{5 + offset}"]
        rows += [f"{one},0.5,1,1" for one in ("Mean", "Std", "25th Percentile", "Median", "75th Percentile")]
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    runs = comparable(read_runs(_tables(tmp_path / "a.csv", tmp_path / "b.csv")))
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
        comparable(read_runs(_tables(tmp_path / "a.csv", tmp_path / "b.csv")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ('{"cases": 3}', "is not a JSON file of results"),
        ('{"cases": [{"id": "1", "x_dice": "good"}]}', "a score that is not a number"),
        ('{"cases": [{"id": "1", "x_dice": 1}, {"id": "1", "x_dice": 1}]}', "holds the ids ['1'] more than once"),
        ('{"cases": []}', "holds no scores"),
    ],
)
def test_damaged_json_is_refused(tmp_path: Path, content: str, said: str) -> None:
    for name in "ab":
        (tmp_path / f"{name}.json").write_text(content)
    with pytest.raises(InputError) as caught:
        read_runs(_tables(tmp_path / "a.json", tmp_path / "b.json"))
    assert said in str(caught.value)
    assert len(caught.value.problems) == 2


def test_runs_are_called_by_what_tells_them_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        for file in ("a", "b"):
            write_results(tmp_path / folder / f"{file}.csv", [{"id": "1", "x_dice": 0.5}])
    one, two = tmp_path / "one", tmp_path / "two"
    assert [run.name for run in read_runs(_tables(one / "a.csv", one / "b.csv"))] == ["a", "b"]
    assert [run.name for run in read_runs(_tables(one / "a.csv", two / "a.csv"))] == ["one", "two"]
    several = read_runs(_tables(one / "a.csv", one / "b.csv", two / "a.csv"))
    assert [run.name for run in several] == ["one/a", "one/b", "two/a"]


def test_a_run_is_not_called_like_the_column_of_cases(tmp_path: Path) -> None:
    write_results(tmp_path / "a.csv", [{"id": "1", "x_dice": 0.5}])
    with pytest.raises(InputError, match="--names: 'id' is the heading of the cases"):
        read_runs(_tables(tmp_path / "a.csv", tmp_path / "a.csv"), ["id", "b"])


def test_json_and_csv_hold_the_same_scores(tmp_path: Path) -> None:
    write_results(tmp_path / "a.csv", [{"id": "002", "x_dice": 0.25}, {"id": "001", "x_dice": float("nan")}])
    table, content = read_runs(_tables(tmp_path / "a.csv", tmp_path / "a.json"), ["csv", "json"])
    assert table.scores.equals(content.scores)
    assert table.ids == ("001", "002")
    assert table.scores.loc["002", "x_dice"] == 0.25
