"""Which tables are compared when runs are named by their bundles."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, InputError
from mist_bundle.files import work_dir_of
from mist_bundle.pipeline.comparison import comparable_runs, run_source
from mist_bundle.runtime.metrics.table import write_results


@pytest.fixture
def bundles(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> list[Path]:
    """Three bundles of one dataset: the last with other folds. Their results are made up."""
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
    assert "folds: were not compared" not in printed
    content = json.loads((tmp_path / "comparison/comparison.json").read_text())
    assert content["folds_compared"]
    with (tmp_path / "comparison/differences_by_case.csv").open(newline="") as stream:
        assert [float(row["organ_dice"]) for row in csv.DictReader(stream)] == [0.0] * 6
    table = bundles[2].with_name(f"{bundles[2].name}_work") / "results.csv"
    assert cli.main(["compare", one, str(table), *words, "--overwrite"]) == EXIT_OK
    assert "warning: folds: were not compared" in capsys.readouterr().err
    (bundles[0].with_name(f"{bundles[0].name}_work") / "results.csv").unlink()
    assert cli.main(["compare", one, two, *words, "--overwrite"]) == EXIT_INPUT_REFUSED
    assert "has no results yet" in capsys.readouterr().err


def test_a_bundle_knows_its_folds_and_the_labels_of_its_classes(bundles: list[Path]) -> None:
    source = run_source(bundles[0])
    assert source.table == work_dir_of(bundles[0]) / "results.csv"
    datalist = json.loads((bundles[0] / "configs/datalist.json").read_text())
    assert source.folds == {entry["id"]: entry["fold"] for entry in datalist["training"]}
    plan = json.loads((bundles[0] / "configs/plan.json").read_text())
    assert source.labels == {name: tuple(sorted(labels)) for name, labels in plan["final_classes"].items()}
    table = run_source(source.table)
    assert (table.table, table.folds, table.labels) == (source.table, None, None)


def test_all_bundles_without_results_are_named(bundles: list[Path]) -> None:
    for bundle in bundles[:2]:
        (work_dir_of(bundle) / "results.csv").unlink()
    with pytest.raises(InputError) as caught:
        comparable_runs(bundles)
    assert [problem.path for problem in caught.value.problems] == [str(bundle) for bundle in bundles[:2]]


def test_metrics_are_known_by_their_aliases(tmp_path: Path) -> None:
    for name in "ab":
        write_results(tmp_path / f"{name}.csv", [{"id": "1", "x_hd95": 2.0, "x_dice": 0.5}])
    assert comparable_runs([tmp_path / "a.csv", tmp_path / "b.csv"], metrics=["haus95"]).columns == ("x_hd95",)
