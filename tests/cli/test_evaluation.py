"""Verbs that score predictions and improve them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.cli.evaluation import _what_follows
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED
from mist_bundle.files import work_dir_of
from tests.api.test_results import _label_maps


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Score predictions with half of the voxels of their references."""
    references = _label_maps(tmp_path / "references", 4)
    predictions = _label_maps(tmp_path / "predictions", 2)
    classes = tmp_path / "classes.json"
    classes.write_text('{"organ": [1]}')
    folders = ["--reference", str(references), "--prediction", str(predictions)]
    return ["evaluate", *folders, "--classes", str(classes), "--output", str(tmp_path / "results.csv")]


def test_files_are_scored(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, "--metrics", "dice"]) == EXIT_OK
    printed = capsys.readouterr().out
    assert "organ_dice     0.667     0.667  a 0.667, b 0.667" in printed
    assert f"Scores: {tmp_path / 'results.csv'}" in printed
    assert cli.main(words) == EXIT_INPUT_REFUSED
    assert "exists already" in capsys.readouterr().err


def test_a_case_that_cannot_be_scored_is_named(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "predictions" / "b.nii.gz").write_bytes(b"no image")
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    assert "1 of 2 cases was not scored." in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--device", "--fold", "--trust", "--dataset_dir", "--overlap"])
def test_options_of_bundles_are_refused_without_a_bundle(
    words: list[str], option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"--device": "cpu", "--fold": "0", "--trust": "true", "--dataset_dir": "x", "--overlap": "0.5"}
    assert cli.main([*words, option, values[option]]) == EXIT_INPUT_REFUSED
    assert f"{option}: is not an option without a bundle." in capsys.readouterr().err
    assert not (tmp_path / "results.csv").exists()


def test_post_processing_prints_the_change(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strategy = tmp_path / "strategy.json"
    step = {"transform": "remove_small_objects", "apply_to_labels": [1], "kwargs": {"min_size": 20}}
    strategy.write_text(json.dumps([step]))
    folders = [str(tmp_path / "predictions"), str(strategy), str(tmp_path / "out")]
    scored = ["--reference", words[2], "--classes", words[6], "--metrics", "dice"]
    assert cli.main(["postprocess", *folders, *scored]) == EXIT_OK
    printed = capsys.readouterr().out
    assert f"2 label maps: {tmp_path / 'out' / 'predictions'}" in printed
    assert "organ_dice  0.6667 -> 0.0000" in printed
    assert "0 cases better, 2 worse" in printed


def test_what_follows_an_evaluation_depends_on_the_folds(
    trained_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, bundle)
    shutil.copytree(work_dir_of(trained_bundle), work_dir_of(bundle))
    opened = mb.Bundle(bundle)
    assert _what_follows(opened, {}) == f"Gather the folds: mist-bundle finalize {bundle}"
    opened.fold(1).results.unlink()
    assert _what_follows(opened, {}) == f"Evaluate the other folds: mist-bundle evaluate {bundle} --fold 1"
    for weights in (bundle / "models").iterdir():
        weights.unlink()
    shutil.rmtree(opened.fold(1).folder)
    follows = _what_follows(mb.Bundle(bundle), {"trust": True})
    assert follows == f"Train the next fold: mist-bundle train {bundle} --fold 1 --trust"
