"""The members of an ensemble are all folds, also where one of them is stored as model.pt."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import pytest

from mist_bundle.runtime.folds.weights import fold_weights, weights_of_fold


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Three folds that the manifest lists, of which the first is model.pt."""
    folder = tmp_path / "models"
    folder.mkdir()
    contents = {"model.pt": b"a", "fold_0.pt": b"a", "fold_1.pt": b"b", "fold_2.pt": b"c"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    listed = {f"models/{name}": hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    (tmp_path / "MANIFEST.json").write_text(json.dumps({"algorithm": "sha256", "files": listed}))
    return folder


def _names(models: Path) -> list[str]:
    return [Path(path).name for path in fold_weights(str(models))]


def test_the_files_of_the_folds(models: Path) -> None:
    assert _names(models) == ["fold_0.pt", "fold_1.pt", "fold_2.pt"]


def test_model_pt_stands_for_the_fold_it_is_a_copy_of(models: Path) -> None:
    (models / "fold_0.pt").unlink()
    assert _names(models) == ["model.pt", "fold_1.pt", "fold_2.pt"]


def test_only_if_it_still_is(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    (models / "fold_0.pt").unlink()
    (models / "model.pt").write_bytes(b"other weights")
    with caplog.at_level(logging.WARNING):
        assert _names(models) == ["fold_1.pt", "fold_2.pt"]
    assert "models/fold_0.pt: missing" in caplog.text


def test_a_fold_of_its_own_weights_is_just_missing(models: Path) -> None:
    (models / "fold_1.pt").unlink()
    assert _names(models) == ["fold_0.pt", "fold_2.pt"]


@pytest.mark.parametrize("manifest", [None, "{", "[]", "{}"])
def test_without_a_manifest_the_folds_are_the_files(models: Path, manifest: str | None) -> None:
    (models / "fold_0.pt").unlink()
    (models.parent / "MANIFEST.json").unlink()
    if manifest is not None:
        (models.parent / "MANIFEST.json").write_text(manifest)
    assert _names(models) == ["fold_1.pt", "fold_2.pt"]
    for path in models.iterdir():
        path.unlink()
    assert _names(models) == []


def test_the_file_of_a_fold(models: Path) -> None:
    assert weights_of_fold(str(models), 0) == str(models / "fold_0.pt")
    (models / "fold_0.pt").unlink()
    assert weights_of_fold(str(models), 0) == str(models / "model.pt")
    assert weights_of_fold(str(models), "1") == str(models / "fold_1.pt")


def test_the_file_of_a_fold_before_its_training(models: Path) -> None:
    assert weights_of_fold(str(models), 4) == str(models / "fold_4.pt")
