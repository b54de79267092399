"""Scoring files from a table and from folders; bad pairs are named and the others scored."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mist_bundle.errors import InputError
from mist_bundle.evaluation.score import evaluate_files


def _save(path: Path, label: np.ndarray, affine: np.ndarray | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(label.astype(np.uint8), np.eye(4) if affine is None else affine), path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    label = np.zeros((12, 12, 12))
    label[3:8, 3:8, 3:8] = 1
    for name in ("001", "002", "003"):
        _save(tmp_path / "reference" / f"{name}.nii.gz", label)
    _save(tmp_path / "prediction" / "001.nii.gz", label)
    _save(tmp_path / "prediction" / "002.nii.gz", np.roll(label, 1, axis=0))
    (tmp_path / "classes.json").write_text(json.dumps({"organ": [1]}))
    return tmp_path


def _evaluate(folders: Path, **changes: object) -> tuple[list[str], int, pd.DataFrame]:
    settings = {
        "paths": None,
        "reference": folders / "reference",
        "prediction": folders / "prediction",
        "classes": folders / "classes.json",
        "metrics": ["dice", "hd95"],
        "output": folders / "results.csv",
    }
    problems, total = evaluate_files(**{**settings, **changes})  # type: ignore[arg-type]
    return [str(problem) for problem in problems], total, pd.read_csv(folders / "results.csv", dtype={"id": str})


def test_folders_are_paired_by_name_and_a_missing_one_is_named(folders: Path) -> None:
    problems, total, table = _evaluate(folders)
    assert len(problems) == 1
    assert problems[0].startswith("003: has no prediction")
    assert total == 3
    assert list(table["id"][:2]) == ["001", "002"]
    np.testing.assert_allclose(table["organ_dice"][:2], [1.0, 0.8])
    np.testing.assert_allclose(table["organ_hd95"][:2], [0.0, 1.0])
    summary = json.loads((folders / "results.json").read_text())["summary"]
    assert summary["organ_dice"]["Mean"] == pytest.approx(0.9)


def test_table_of_pairs_and_a_shifted_header(folders: Path) -> None:
    moved = np.eye(4)
    moved[0, 3] = 7
    label = np.asarray(nib.load(folders / "reference/003.nii.gz").dataobj)
    _save(folders / "prediction" / "003.nii.gz", label, moved)
    rows = "".join(f"{name},reference/{name}.nii.gz,prediction/{name}.nii.gz\n" for name in ("001", "003"))
    (folders / "pairs.csv").write_text("id,mask,prediction\n" + rows)
    problems, total, table = _evaluate(folders, paths=folders / "pairs.csv")
    assert total == 2
    assert len(problems) == 1
    assert problems[0].startswith("003")
    assert list(table["id"][:1]) == ["001"]


def test_requests_that_cannot_be_met(folders: Path) -> None:
    with pytest.raises(InputError, match="known: dice, hd95"):
        _evaluate(folders, metrics=["dise"])
    with pytest.raises(InputError, match="--classes"):
        _evaluate(folders, classes=None)
    with pytest.raises(InputError, match="needs a bundle"):
        _evaluate(folders, prediction=None)
