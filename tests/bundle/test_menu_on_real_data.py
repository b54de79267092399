"""Every network and every loss of the menu on real cases, and a VAE branch, thick slices and own code."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from mist_bundle import pipeline
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.msd_layout import convert_msd
from mist_bundle.files import read_json
from mist_bundle.planning.options import PlanOptions
from mist_bundle.sharing.export import export_bundle
from tests.bundle.run_monai import run_monai

pytestmark = pytest.mark.slow

CASES = 6
OWN_LOSS = """
import torch
from torch import nn


class Tversky(nn.Module):
    def __init__(self, false_negatives=0.7):
        super().__init__()
        self.false_negatives = false_negatives

    def forward(self, logits, label):
        scores = torch.softmax(logits, dim=1)[:, 1:]
        truth = torch.cat([label == index for index in range(1, logits.shape[1])], dim=1).to(scores)
        parts = scores * truth, (1 - scores) * truth, scores * (1 - truth)
        hit, missed, wrong = (part.flatten(2).sum(2) for part in parts)
        return (1 - hit / (hit + self.false_negatives * missed + (1 - self.false_negatives) * wrong + 1e-6)).mean()
"""


@dataclass(frozen=True)
class Ran:
    """A bundle that was trained through monai.bundle, and what came of it."""

    bundle: Path
    config: dict[str, Any]
    history: list[dict[str, Any]]
    overrides: list[str]


@pytest.fixture(scope="module")
def dataset_json(hippocampus_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert_msd(hippocampus_dir, tmp_path_factory.mktemp("hippocampus") / "data", limit=CASES)


def _train(dataset_json: Path, folder: Path, **asked: Any) -> Ran:
    """Configure, and train one epoch with mist_bundle out of reach; the distance maps are made on the way."""
    settings: dict[str, Any] = {"network": "unet-pocket", "patch_size": (32, 32, 32), "folds": 2, "val_fraction": 0.34}
    settings |= {"epochs": 1, "steps_per_epoch": 4, "batch_size": 2, **asked}
    bundle = pipeline.autoconfig(dataset_json, folder / "out", PlanOptions(**settings)).bundle
    overrides = ["--dataset_dir", str(dataset_json.parent / "train"), "--learning_rate", "0.003"]
    run_monai("training", bundle / "configs/train.json", *overrides, cwd=folder)
    return Ran(bundle, read_json(bundle / "configs/train.json"), _history(bundle), overrides)


def _history(bundle: Path) -> list[dict[str, Any]]:
    path = bundle.parent / f"{bundle.name}_work/fold_0/history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def _resume(ran: Ran, folder: Path) -> None:
    config = ran.bundle / "configs/train.json"
    run_monai("training", config, *ran.overrides, "--epochs", "2", "--resume", "true", cwd=folder)
    assert [entry["epoch"] for entry in _history(ran.bundle)] == [1, 2]


def _predict_one(ran: Ran, dataset_json: Path, folder: Path) -> None:
    case = read_json(ran.bundle / "configs/datalist.json")["training"][0]
    listed = folder / "one.json"
    listed.write_text(json.dumps({"testing": [{"id": case["id"], "image": case["image"]}]}))
    words = ["--datalist", str(listed), "--dataset_dir", ran.overrides[1], "--output_dir", str(folder / "seg")]
    words += ["--test_time_flip_axes", "[]", "--overlap", "0.25"]
    run_monai("inference", ran.bundle / "configs/inference.json", *words, cwd=folder)
    reference = nib.load(dataset_json.parent / "train" / case["label"])
    predicted = nib.load(folder / f"seg/{case['id']}.nii.gz")
    assert predicted.shape == reference.shape
    np.testing.assert_allclose(predicted.affine, reference.affine, atol=1e-5)
    assert set(np.unique(np.asarray(predicted.dataobj)).tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_network_trains_resumes_predicts_and_exports(dataset_json: Path, tmp_path: Path, network: str) -> None:
    ran = _train(dataset_json, tmp_path, network=network, batch_size=1, steps_per_epoch=2)
    _resume(ran, tmp_path)
    _predict_one(ran, dataset_json, tmp_path)
    report = export_bundle(ran.bundle, ["torch_export"], tmp_path / "exported")
    assert not report.problems()
    assert (tmp_path / "exported/model.pt2").is_file()


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_loss_trains_resumes_and_predicts(dataset_json: Path, tmp_path: Path, loss: str) -> None:
    row = LOSSES[loss]
    ran = _train(dataset_json, tmp_path, loss=loss, **({"composite_weighting": "cosine"} if row.base else {}))
    terms = ran.config["loss"]["loss"]
    assert (terms["extra"] if row.base else terms)["_target_"] == row.target
    needs_maps = "distance_maps" in LOSSES[loss].needs
    cached = list((tmp_path / f"out/{ran.bundle.name}_work/cache").rglob("dtm.npy"))
    assert len(cached) == (CASES // 2 if needs_maps else 0)
    for path in cached:
        maps = np.load(path)
        assert maps.shape[0] == 3, "a map of the background and of each label"
        assert maps.min() >= -1
        assert maps.max() <= 1
    assert np.isfinite(ran.history[0]["loss"])
    assert np.isfinite(ran.history[-1]["val_loss"])
    _resume(ran, tmp_path)
    _predict_one(ran, dataset_json, tmp_path)


def test_distance_maps_resume_and_export(dataset_json: Path, tmp_path: Path) -> None:
    ran = _train(dataset_json, tmp_path, loss="boundary", composite_weighting="linear", distance_maps_in_mm=True)
    _resume(ran, tmp_path)
    report = export_bundle(ran.bundle, ["torchscript", "torch_export"], tmp_path / "exported")
    assert not report.problems()
    assert (tmp_path / "exported/model.ts").is_file()
    assert (tmp_path / "exported/model.pt2").is_file()


def test_vae_branch_trains_resumes_predicts_and_is_not_exported(dataset_json: Path, tmp_path: Path) -> None:
    ran = _train(dataset_json, tmp_path, network="nnunet-pocket", vae=True, deep_supervision_heads=1)
    _resume(ran, tmp_path)
    last = torch.load(tmp_path / f"out/{ran.bundle.name}_work/fold_0/last.pt", weights_only=True)["network"]
    assert any(name.startswith("vae_branch.") for name in last), "it continues to learn"
    weights = torch.load(ran.bundle / "models/model.pt", weights_only=True)
    assert not any("vae_branch" in name or "super" in name for name in weights)
    _predict_one(ran, dataset_json, tmp_path)
    assert not export_bundle(ran.bundle, ["torch_export"], tmp_path / "exported").problems()


def test_thick_slices_are_halved_later_and_turned_in_their_plane(dataset_json: Path, tmp_path: Path) -> None:
    asked = {"network": "nnunet-pocket", "target_spacing": (1.0, 1.0, 4.0), "patch_size": (32, 32, 8)}
    ran = _train(dataset_json, tmp_path, augmentation="nnunet", **asked)
    network = ran.config["network_def"]
    assert network["strides"][1] == [2, 2, 1]
    assert network["kernel_size"][0] == [3, 3, 1]
    settings = ran.config["train"]["augmentation"]
    assert settings["rotation_axes"] == [2]
    assert settings["low_resolution_axes"] == [0, 1]
    _predict_one(ran, dataset_json, tmp_path)


def test_own_loss_trains_where_its_file_is_not(
    dataset_json: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    (home / "own_losses.py").write_text(OWN_LOSS)
    ran = _train(dataset_json, tmp_path, loss="own_losses.py:Tversky")
    assert ran.config["loss"]["loss"]["_target_"] == "scripts.user.own_losses.Tversky"
    elsewhere = tmp_path / "elsewhere" / ran.bundle.name
    shutil.copytree(ran.bundle, elsewhere)
    shutil.rmtree(home)
    shutil.rmtree(ran.bundle)
    run_monai("training", elsewhere / "configs/train.json", *ran.overrides, cwd=tmp_path)
    first, second = ran.history[0]["loss"], _history(elsewhere)[0]["loss"]
    assert 0 < second <= 1
    assert second == pytest.approx(first, rel=1e-3), "the same seed, the same code"
    _predict_one(Ran(elsewhere, ran.config, [], ran.overrides), dataset_json, tmp_path)
