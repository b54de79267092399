"""The members of an ensemble are all folds, also where one of them is stored as model.pt."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mist_bundle.runtime.folds.weights import ensemble_weights, fold_weights, weights_of_fold


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


def test_only_if_it_still_is(models: Path) -> None:
    (models / "fold_0.pt").unlink()
    (models / "model.pt").write_bytes(b"other weights")
    assert _names(models) == ["fold_1.pt", "fold_2.pt"]


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


def _members(models: Path, *, ckpt_path: Path | None = None, ensemble: bool | str = True) -> list[str]:
    paths = ensemble_weights(fold_weights(str(models)), str(models), str(ckpt_path or models / "model.pt"), ensemble)
    return [Path(path).name for path in paths]


def test_all_folds_predict_together(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert _members(models) == ["fold_0.pt", "fold_1.pt", "fold_2.pt"]
    shutil.copy(models / "fold_2.pt", models / "model.pt")  # another choice of the best fold
    assert _members(models) == ["fold_0.pt", "fold_1.pt", "fold_2.pt"]
    (models / "model.pt").unlink()
    assert _members(models) == ["fold_0.pt", "fold_1.pt", "fold_2.pt"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stored_once", [False, True])
@pytest.mark.parametrize("newer", [b"d", b"other weights"])
def test_the_folds_step_aside_for_newer_weights(
    models: Path, newer: bytes, stored_once: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    if stored_once:
        (models / "fold_0.pt").unlink()
    (models / "model.pt").write_bytes(newer)
    assert _members(models) == []
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"warning: {models / 'model.pt'}: has other weights than ")
    assert "--ensemble false" in line
    assert _members(models, ensemble="false") == []
    assert capfd.readouterr().err == ""
    shutil.copy(models / "fold_1.pt", models / "model.pt")  # what the warning advises
    assert "fold_1.pt" in _members(models)


def test_the_warning_names_what_was_chosen_for_the_folds(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (models / "model.pt").write_bytes(b"other weights")
    configs = models.parent / "configs"
    configs.mkdir()
    (configs / "postprocessing.json").write_text('{"strategy": [{"operation": "fill_holes"}]}')
    (configs / "confidence.json").write_text('{"temperature": null}')
    _members(models)
    line = capfd.readouterr().err
    assert "configs/postprocessing.json still hold" in line
    assert "confidence.json" not in line


def test_weights_and_folds_of_the_callers_choice_are_taken(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (models / "model.pt").write_bytes(b"other weights")
    assert _members(models, ckpt_path=models / "fold_1.pt") == []
    listed = [str(models / "fold_1.pt"), str(models / "fold_2.pt")]
    assert ensemble_weights(listed, str(models), str(models / "model.pt"), ensemble=True) == listed
    assert capfd.readouterr().err == ""


def test_unused_weights_of_a_federation_are_reported(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copy(models / "fold_1.pt", models / "model_final.pt")
    assert _members(models) == ["fold_0.pt", "fold_1.pt", "fold_2.pt"]
    assert capfd.readouterr().err == ""
    (models / "model_final.pt").write_bytes(b"of the server")
    assert _members(models) == ["fold_0.pt", "fold_1.pt", "fold_2.pt"]
    assert f"warning: {models / 'model_final.pt'}: " in capfd.readouterr().err


def test_an_incomplete_ensemble_is_reported(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (models / "fold_1.pt").unlink()
    assert _members(models) == ["fold_0.pt", "fold_2.pt"]
    assert "models/fold_1.pt: not there" in capfd.readouterr().err
