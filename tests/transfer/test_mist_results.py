"""What a MIST results folder says, and everything that is wrong with it, at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline import import_mist
from mist_bundle.transfer.mist_results import read_results
from tests.transfer.mist_made import config, write_results


def _messages(folder: Path, folds: list[int] | None = None) -> str:
    with pytest.raises(InputError) as refused:
        read_results(folder, folds)
    return str(refused.value)


def test_everything_is_understood(tmp_path: Path) -> None:
    results, weights = read_results(write_results(tmp_path / "results", folds=(0, 3)))
    assert list(weights) == list(results.checkpoints) == ["0", "3"]
    assert results.architecture == "nnunet-pocket"
    assert results.labels == (0, 1, 4)
    assert results.channels == ("t1", "flair")
    assert results.window is None
    assert results.held_out()["case_7"] == 2
    assert list(read_results(tmp_path / "results", [3])[1]) == ["3"]


def test_ct_has_its_window(tmp_path: Path) -> None:
    window = {"window_min": -100, "window_max": 300.0, "z_score_mean": 50, "z_score_std": 20}
    data, prepared = {"modality": "CT"}, {"ct_normalization": window}
    results, _ = read_results(write_results(tmp_path / "results", dataset_info=data, preprocessing=prepared))
    assert results.window == {"low": -100, "high": 300, "mean": 50, "std": 20}
    text = _messages(write_results(tmp_path / "without", dataset_info=data))
    assert "ct_normalization.window_min: is missing, which CT needs" in text
    assert "ct_normalization.z_score_std: is missing" in text


def test_all_problems_at_once(tmp_path: Path) -> None:
    folder = write_results(
        tmp_path / "results",
        model={"architecture": "unet3d"},
        spatial_config={"patch_size": [32, 32]},
        dataset_info={"labels": [1, 0], "images": [], "modality": "pet"},
        inference={"inferer": {"params": {"patch_blend_mode": "constant"}}, "tta": {"strategy": "rotations"}},
    )
    text = _messages(folder)
    for words in (
        "model.architecture: is 'unet3d'; expected one of nnunet, nnunet-pocket, fmgnet, wnet, mednext-small",
        "spatial_config.patch_size: is [32, 32]; expected three numbers above 0",
        "dataset_info.labels: is [1, 0]; expected 0 and larger values, each once and in order",
        "dataset_info.images: is []",
        "dataset_info.modality: is 'pet'",
        "patch_blend_mode: is 'constant'; only gaussian can be imported",
        "tta.strategy: is 'rotations'; only all_flips and none can be imported",
    ):
        assert words in text


def test_missing_files(tmp_path: Path) -> None:
    assert "is not a folder" in _messages(tmp_path / "nowhere")
    folder = write_results(tmp_path / "results")
    assert "--folds: names fold 4; there are 0." in _messages(folder, [0, 4])
    (folder / "models/fold_0.pt").unlink()
    (folder / "config.json").write_text(json.dumps({"model": config()["model"]}))
    assert "holds no fold_0.pt, fold_1.pt" in _messages(folder)
    (folder / "models/fold_0.pt").write_bytes(b"broken")
    assert "cannot be read as a checkpoint" in _messages(folder)


@pytest.mark.parametrize(
    ("section", "entries"),
    [
        ("evaluation", {"whole": None}),
        ("spatial_config", {"patch_size": [16, 16, "many"]}),
        ("preprocessing", {"median_resampled_image_size": "large"}),
        ("inference", {"tta": "yes"}),
        ("inference", {"inferer": {"params": {"patch_overlap": "half"}}}),
        ("training", {"nfolds": "five"}),
    ],
)
def test_values_of_another_kind_are_refused(section: str, entries: dict[str, Any], tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", **{section: entries})
    with pytest.raises(InputError, match="results"):
        import_mist(folder, tmp_path / "model")
    assert not (tmp_path / "model").exists()
