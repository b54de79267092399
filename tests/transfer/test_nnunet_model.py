"""From results to a plan: everything in the axes of files."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from mist_bundle.transfer.nnunet_model import best_fold, convert_weights, describe_data, describe_model, held_out
from mist_bundle.transfer.nnunet_results import read_results
from tests.transfer.nnunet_made import write_results


def test_axes_of_the_model_are_those_of_files(tmp_path: Path) -> None:
    results, _ = read_results(write_results(tmp_path / "results", mirror_axes=(0, 1)))
    model = describe_model(results)
    assert model.spacing_mm == (3.0, 1.5, 1.0)
    assert model.patch_size == (8, 16, 16)
    assert model.median_shape == (9, 17, 18)
    assert model.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2))
    assert model.test_time_flip_axes == (0, 2)  # nnU-Net's 0 and 1 are x and z of files
    assert model.network_arguments["kernel_size"][0] == [1, 3, 3]
    assert model.inference == {"tiling": "nnunet", "average": "logits", "restore": "logits"}
    assert model.preprocessing is not None
    assert model.preprocessing["schemes"][0] == {"scheme": "zscore", "mask": True}


def test_data_are_described_without_cases(tmp_path: Path) -> None:
    labels = {"background": 0, "organ": 1, "ignore": 2}
    results, _ = read_results(write_results(tmp_path / "results", labels=labels, channels=1))
    spec = describe_data(results, tmp_path / "cases")
    assert spec.task == "made"
    assert spec.modality == "mr"
    assert spec.channel_names == ("t1",)
    assert spec.labels == (0, 1)
    assert spec.ignore_label == 2


def test_shared_tensors_are_stored_once(tmp_path: Path) -> None:
    results, weights = read_results(write_results(tmp_path / "results"))
    converted, _ = convert_weights(results, weights)
    stored = {value.data_ptr() for value in converted["0"].values()}
    assert len(stored) < len(converted["0"])
    assert all(isinstance(value, torch.Tensor) for value in converted["0"].values())


def test_the_best_fold_and_what_it_held_out_are_those_of_the_validation(tmp_path: Path) -> None:
    folder = write_results(tmp_path / "results", folds=("0", "1"))
    results, _ = read_results(folder)
    assert best_fold(results) == "0"
    assert held_out(results) == {}
    for fold, dice in ((0, 0.5), (1, 0.75)):
        validation = folder / f"fold_{fold}/validation"
        validation.mkdir()
        (validation / "summary.json").write_text(json.dumps({"foreground_mean": {"Dice": dice}}))
        (validation / f"case_{fold}.nii.gz").touch()
    assert best_fold(results) == "1"
    assert held_out(results) == {"case_0": 0, "case_1": 1}
