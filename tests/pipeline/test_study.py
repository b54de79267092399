"""Trainings that differ in their seed only, and their comparison."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pandas
import pytest

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.errors import EXIT_OK, InputError
from mist_bundle.runtime.folds.files import sha256_of


@pytest.fixture(scope="module")
def study(fresh_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "seeds"
    done = mb.study(fresh_bundle, folder, seeds=2, fold=0, device="cpu")
    assert list(done.means) == [42, 43]
    return folder


def _table(folder: Path, seed: int) -> pandas.DataFrame:
    (results,) = folder.glob(f"seed_{seed}/*_work/fold_0/results.csv")
    scores = pandas.read_csv(results, index_col="id")
    return scores[~scores.index.isin(["Mean", "Std", "25th Percentile", "Median", "75th Percentile"])]


def test_mean_and_spread_are_those_of_the_seeds(study: Path) -> None:
    content = json.loads((study / "study.json").read_text())
    tables = [_table(study, 42), _table(study, 43)]
    for column, row in content["columns"].items():
        means = [float(table[column].mean()) for table in tables]
        assert row["mean"] == pytest.approx(statistics.fmean(means))
        assert row["std"] == pytest.approx(float(np.std(means, ddof=1)))
    averaged = pandas.read_csv(study / "results.csv", index_col="id").loc[tables[0].index]
    pandas.testing.assert_frame_equal(averaged, (tables[0] + tables[1]) / 2)


@pytest.mark.slow
def test_seeds_differ_and_the_same_seed_gives_the_same_bytes(study: Path, fresh_bundle: Path, tmp_path: Path) -> None:
    (first,) = study.glob("seed_42/*/models/fold_0.pt")
    (second,) = study.glob("seed_43/*/models/fold_0.pt")
    assert sha256_of(first) != sha256_of(second)
    mb.study(fresh_bundle, tmp_path / "again", seeds=1, fold=0, device="cpu")
    (again,) = (tmp_path / "again").glob("seed_42/*/models/fold_0.pt")
    assert sha256_of(again) == sha256_of(first)
    assert not list(fresh_bundle.glob("models/*"))


@pytest.mark.slow
def test_a_second_call_keeps_what_is_finished(study: Path, fresh_bundle: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in study.glob("seed_*/*/models/*")}
    assert files
    mb.study(fresh_bundle, study, seeds=2, fold=0, device="cpu")
    assert {path: path.stat().st_mtime_ns for path in study.glob("seed_*/*/models/*")} == files


def test_compare_knows_studies(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results,) = study.glob("seed_43/*_work/fold_0/results.csv")
    words = ["compare", str(study), str(results), "--output", str(tmp_path / "comparison")]
    assert cli.main(words) == EXIT_OK
    printed = capsys.readouterr().out
    assert "standard deviation between the seeds" in printed
    content = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    spread = json.loads((study / "study.json").read_text())["columns"]
    for column, value in content["spread_between_seeds"]["seeds"].items():
        assert value == spread[column]["std"]
        assert f"± {value:.4f}" in printed


def test_another_study_in_the_folder_is_refused(study: Path, fresh_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a study with folds \[0\]"):
        mb.study(fresh_bundle, study, fold=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds files, but no study"):
        mb.study(fresh_bundle, tmp_path)


def test_a_study_that_cannot_begin_writes_nothing(fresh_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        mb.study(fresh_bundle, fresh_bundle / "study", seeds=2, fold=0, dataset_dir=tmp_path / "nowhere")
    assert [problem.path for problem in refused.value.problems] == ["--output", "--dataset_dir"]
    assert not (fresh_bundle / "study").exists()
