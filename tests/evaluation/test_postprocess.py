"""A folder of predictions, post-processed and scored before and after."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED

from .samples import save_label, save_without_orientation

AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    label = np.zeros((14, 13, 12))
    label[3:8, 3:8, 3:8] = 1
    with_island = label.copy()
    with_island[11, 11, 10] = 1
    for name, predicted in (("001", label), ("002", with_island)):
        save_label(tmp_path / "reference" / f"{name}.nii.gz", label, AFFINE)
        save_label(tmp_path / "prediction" / f"{name}.nii.gz", predicted, AFFINE)
    (tmp_path / "classes.json").write_text(json.dumps({"organ": [1]}))
    (tmp_path / "strategy.json").write_text(
        json.dumps([{"transform": "keep_top_k_components", "apply_to_labels": [1], "kwargs": {"k": 1}}])
    )
    return tmp_path


def _words(folders: Path, *, scored: bool = True) -> list[str]:
    words = ["postprocess", str(folders / "prediction"), str(folders / "strategy.json"), str(folders / "out")]
    return [*words, "--reference", str(folders / "reference"), "--classes", str(folders / "classes.json")][
        : 8 if scored else 4
    ]


def test_scores_before_and_after_and_their_change(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    assert cli.main([*_words(folders), "--weights", '{"dice": 3, "hd95": 1}']) == EXIT_OK
    printed = capsys.readouterr().out
    baseline, results = (
        pd.read_csv(folders / "out" / name, dtype={"id": str}).set_index("id")
        for name in ("baseline.csv", "results.csv")
    )
    assert results.loc[["001", "002"], "organ_dice"].tolist() == [1.0, 1.0]
    before = 2 * 125 / 251
    assert baseline.loc["002", "organ_dice"] == pytest.approx(before)
    change = json.loads((folders / "out/change.json").read_text())
    diagonal = np.linalg.norm([14, 13, 24])
    gain = (3 * (1 - before) + baseline.loc["002", "organ_hd95"] / diagonal) / 4
    assert change["change"] == pytest.approx(gain / 2)
    assert change["weights"] == {"dice": 3.0, "hd95": 1.0}
    assert (change["improved"], change["worsened"]) == (["002"], [])
    assert f"{gain / 2:+.5f}; 1 case better, 0 worse" in printed
    made = nib.load(folders / "out/predictions/002.nii.gz")
    reference = nib.load(folders / "reference/002.nii.gz")
    np.testing.assert_array_equal(np.asarray(made.dataobj), np.asarray(reference.dataobj))
    np.testing.assert_array_equal(made.affine, AFFINE)
    assert (
        json.loads((folders / "out/strategy.json").read_text())["strategy"][0]["transform"] == "keep_top_k_components"
    )


def test_without_references_label_maps_alone_are_written(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    assert cli.main([*_words(folders, scored=False), "--workers", "2"]) == EXIT_OK
    assert "2 label maps" in capsys.readouterr().out
    assert sorted(path.name for path in (folders / "out").iterdir()) == ["predictions", "strategy.json"]
    assert sorted(path.name for path in (folders / "out/predictions").iterdir()) == ["001.nii.gz", "002.nii.gz"]


def test_bad_cases_are_named_and_the_others_go_on(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    label = np.asarray(nib.load(folders / "reference/001.nii.gz").dataobj)
    for name in ("cut", "moved", "half"):
        save_label(folders / "reference" / f"{name}.nii.gz", label, AFFINE)
    save_label(folders / "prediction" / "moved.nii.gz", label)
    for folder in ("prediction", "reference"):
        save_without_orientation(folders / folder / "001.nii.gz")
    (folders / "classes.json").write_text(json.dumps({"organ": [1], "cyst": [7]}))
    save_label(folders / "prediction" / "half.nii.gz", label * 0.5, AFFINE)
    (folders / "prediction/cut.nii.gz").write_bytes((folders / "prediction/001.nii.gz").read_bytes()[:-9])
    save_label(folders / "reference" / "alone.nii.gz", label, AFFINE)
    assert cli.main(_words(folders)) == EXIT_SOME_CASES_FAILED
    errors = capsys.readouterr().err
    for case, said in (
        ("alone", "has no prediction"),
        ("cut", "is cut short"),
        ("moved", "does not lie on the grid"),
        ("half", "not whole numbers"),
    ):
        assert any(line.startswith(f"{case}: ") and said in line for line in errors.splitlines()), errors
    assert "warning: 001: 001.nii.gz has no orientation in its header" in errors
    assert "warning: class cyst: occurs in no reference and no prediction" in errors
    failed = json.loads((folders / "out/results.json").read_text())["failed"]
    assert {one["id"] for one in failed} == {"alone", "cut", "moved", "half"}
    assert sorted(path.name for path in (folders / "out/predictions").iterdir()) == ["001.nii.gz", "002.nii.gz"]


def test_headers_are_warned_of_without_references(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    save_without_orientation(folders / "prediction" / "001.nii.gz")
    assert cli.main(_words(folders, scored=False)) == EXIT_OK
    assert "warning: 001: 001.nii.gz has no orientation in its header" in capsys.readouterr().err


def test_requests_that_cannot_be_met(capsys: pytest.CaptureFixture[str], folders: Path) -> None:
    (folders / "wrong.json").write_text('[{"transform": "opening"}]')
    (folders / "empty").mkdir()
    words = _words(folders)
    for changed, said in (
        ([*words[:2], str(folders / "wrong.json"), *words[3:]], "known: remove_small_objects"),
        ([*words[:2], str(folders / "nothing.json"), *words[3:]], "cannot be read"),
        ([*words[:2], str(folders / "reference/001.nii.gz"), *words[3:]], "001.nii.gz"),
        ([words[0], str(folders / "empty"), *words[2:4]], "holds no image file"),
        ([words[0], str(folders / "nothing"), *words[2:4]], "is not a folder"),
        ([*words, "--weights", '{"iou": 1}'], "names 'iou'"),
        ([*words, "--weights", "heavy"], "--weights: is not JSON"),
        ([*words, "--metrics", "dice,volume_difference"], "has no worst value"),
    ):
        assert cli.main(changed) == EXIT_INPUT_REFUSED, said
        assert said in capsys.readouterr().err
    assert not (folders / "out").exists()
    assert not [path for path in folders.iterdir() if path.name.endswith(".partial")]
    (folders / "out").mkdir()
    assert cli.main(words) == EXIT_INPUT_REFUSED
    assert "--overwrite" in capsys.readouterr().err
    assert cli.main([*words, "--overwrite"]) == EXIT_OK
