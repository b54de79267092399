"""Imported bundles against nnU-Net's steps written with scipy and plain torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from numpy.typing import NDArray
from scipy import ndimage

from mist_bundle import pipeline
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions, TransferOptions
from mist_bundle.runtime.inferers.windows import flip_combinations
from mist_bundle.trust.audit.run import audit_bundle
from tests.transfer import mist_made
from tests.transfer import nnunet_made as made

SHAPE, SPACING = (10, 13, 20), (2.5, 1.4, 0.9)  # the coarse axis is x
TARGET, TO_THEIRS = (3.0, 1.5, 1.0), (0, 2, 1)  # nnU-Net's arrays are (x, z, y)


def _scan(path: Path, seed: int, channels: int = 2) -> NDArray[np.float32]:
    """Images of a case, its border 0, stored with an odd orientation."""
    image = np.zeros((channels, *SHAPE), np.float32)
    inner = np.random.default_rng(seed).normal(100, 20, (channels, 8, 11, 17))
    image[:, 1:9, 1:12, 2:19] = ndimage.gaussian_filter(inner, (0, 1, 1, 1)).astype(np.float32)
    affine = np.diag([-SPACING[0], SPACING[1], -SPACING[2], 1])
    path.mkdir(parents=True, exist_ok=True)
    for channel, name in enumerate(("t1", "flair")[:channels]):
        nibabel.save(nibabel.Nifti1Image(image[channel], affine), path / f"{name}.nii.gz")
    return image


def _zoom(volume: NDArray[Any], shape: tuple[int, ...], order: int) -> NDArray[np.float64]:
    factors = np.divide(shape, volume.shape)
    zoomed = ndimage.zoom(volume.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(zoomed, volume.min(), volume.max())


def _expected_logits(weights: list[made.Tensors], image: NDArray[np.float32], flips: list[tuple[int, ...]]) -> Any:
    """nnU-Net's steps for an image that is a single window: logits of the cropped box on the grid of the file."""
    box = image[:, 1:9, 1:12, 2:19]
    inside = ndimage.binary_fill_holes((box != 0).any(axis=0))
    first = box[0].copy()
    first[inside] = (first[inside] - first[inside].mean()) / first[inside].std()
    normalized = [first, (box[1] - box[1].mean()) / box[1].std()]
    new_shape = tuple(round(s / t * n) for s, t, n in zip(SPACING, TARGET, box.shape[1:], strict=True))
    assert new_shape == (7, 10, 15)
    prepared = np.stack([_zoom(volume, new_shape, 3) for volume in normalized])
    below = [(8 - 7) // 2, (16 - 10) // 2, (16 - 15) // 2]
    window = np.zeros((2, 8, 16, 16), np.float32)
    where = tuple(slice(low, low + n) for low, n in zip(below, new_shape, strict=True))
    window[(slice(None), *where)] = prepared
    theirs = torch.from_numpy(window)[None].permute(0, 1, 2, 4, 3)
    total = torch.zeros(())
    for state in weights:
        for axes in flips:
            dims = [2 + TO_THEIRS[axis] for axis in axes]
            total = total + torch.flip(made.plain_logits(state, torch.flip(theirs, dims)), dims)
    logits = (total / len(weights) / len(flips)).permute(0, 1, 2, 4, 3)[0].numpy()
    return np.stack([_zoom(channel[where], box.shape[1:], 1) for channel in logits])


def _predicted(bundle: Path, cases: Path, output: Path, **how: Any) -> NDArray[Any]:
    pipeline.predict(bundle, cases, output, **how)
    (path,) = output.glob("*.nii.gz")
    return np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


@pytest.mark.parametrize("regions", [False, True])
def test_label_maps_are_those_of_nnunets_steps(regions: bool, tmp_path: Path) -> None:
    folds, mirror = (("0", "3"), (0, 2)) if regions else (("0",), None)
    options: dict[str, Any] = {"folds": folds, "mirror_axes": mirror}
    if regions:
        options["labels"] = {"background": 0, "whole": [1, 2], "core": 2}
        options["regions_class_order"] = [1, 2]
    results = made.write_results(tmp_path / "results", **options)
    imported = pipeline.import_nnunet(results, tmp_path / "out/model")
    bundle = imported.bundle
    assert bundle == tmp_path / "out/model"
    assert audit_bundle(bundle).passed
    image = _scan(tmp_path / "cases/a", seed=1)
    written = _predicted(bundle, tmp_path / "cases", tmp_path / "predictions")
    states = []
    for fold in folds:
        checkpoint = torch.load(results / f"fold_{fold}/checkpoint_final.pth", weights_only=False)
        states.append(checkpoint["network_weights"])
    # nnU-Net's axes 0 and 2 are x and y of the file
    logits = _expected_logits(states, image, [(), (0,), (1,), (0, 1)] if regions else [()])
    expected = np.zeros(SHAPE, int)
    if regions:
        for label, channel in zip((1, 2), logits, strict=True):
            expected[1:9, 1:12, 2:19][channel > 0] = label
    else:
        expected[1:9, 1:12, 2:19] = logits.argmax(axis=0)
    assert len(np.unique(expected)) == 3
    assert (written != expected).mean() < 1e-3


def test_a_bundle_without_cases_holds_all_others_do(tmp_path: Path) -> None:
    results = made.write_results(tmp_path / "results", folds=("1", "0"), architecture=made.RESIDUAL)
    before = sorted((path, path.stat().st_mtime_ns) for path in results.rglob("*"))
    pipeline.import_nnunet(results, tmp_path / "model")
    assert sorted((path, path.stat().st_mtime_ns) for path in results.rglob("*")) == before
    bundle = Bundle(tmp_path / "model")
    assert bundle.plan.network.value == "resenc-m"
    assert bundle.plan.origin is not None
    assert bundle.plan.origin["trainer"] == "nnUNetTrainer"
    assert sorted(path.name for path in bundle.models.glob("*.pt")) == ["fold_0.pt", "fold_1.pt", "model.pt"]
    assert bundle.datalist.training == ()
    card = (bundle.root / "docs/README.md").read_text()
    assert "nnU-Net v2" in card
    assert "Not trained yet" not in card


def test_dry_run_and_refusals_write_nothing(tmp_path: Path) -> None:
    results = made.write_results(tmp_path / "results", folds=("all",))
    imported = pipeline.import_nnunet(results, tmp_path / "model", dry_run=True)
    assert imported.bundle is None
    assert dict(imported.table)["model.pt"] == "fold all"
    (tmp_path / "model").mkdir()
    (results / "plans.json").write_text("{}")
    with pytest.raises(InputError) as refused:
        pipeline.import_nnunet(results, tmp_path / "model", fold_file=tmp_path / "folds.csv")
    text = str(refused.value)
    for words in ("is missing, or inherits from itself", "exists", "--fold_file: needs the cases"):
        assert words in text
    assert list((tmp_path / "model").iterdir()) == []


def test_weights_with_nan_are_refused(tmp_path: Path) -> None:
    results = made.write_results(tmp_path / "results")
    torch.manual_seed(0)
    weights = made.plain_weights(2, 3)
    weights["encoder.stages.1.0.convs.0.conv.weight"][0, 0, 0, 0, 0] = torch.nan
    made.write_checkpoint(results / "fold_0", made.stored(weights), None)
    with pytest.raises(InputError, match="holds NaN or infinite numbers"):
        pipeline.import_nnunet(results, tmp_path / "model")


def _data(folder: Path, *, cases: int = 5, labels: tuple[int, ...] = (0, 1, 2)) -> Path:
    for number in range(cases):
        path = folder / f"train/case_{number}"
        image = _scan(path, seed=number)
        label = np.zeros(SHAPE, np.uint8)
        label[3:7, 3:9, 4:12] = 1
        label[4:6, 4:7, 5:9] = 2
        affine = nibabel.load(path / "t1.nii.gz").affine  # type: ignore[attr-defined]
        nibabel.save(nibabel.Nifti1Image(label * (image[0] != 0), affine), path / "mask.nii.gz")
    description = {
        "task": "made",
        "modality": "mr",
        "train-data": "train",
        "mask": ["mask"],
        "images": {"t1": ["t1"], "flair": ["flair"]},
        "labels": list(labels),
        "final_classes": {"organ": [1], "tumour": [2]},
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder / "dataset.json"


def test_with_its_data_folds_are_evaluated_and_trained_on(tmp_path: Path) -> None:
    results = made.write_results(tmp_path / "results", folds=("0", "1"))
    dataset = _data(tmp_path / "data")
    with pytest.raises(InputError, match="does not say which cases fold 0, 1 held out"):
        pipeline.import_nnunet(results, tmp_path / "model", dataset=dataset)
    for fold, cases in ((0, ("case_0", "case_1")), (1, ("case_2",))):
        validation = results / f"fold_{fold}/validation"
        validation.mkdir()
        for case in cases:
            (validation / f"{case}.nii.gz").touch()
    pipeline.import_nnunet(results, tmp_path / "model", dataset=dataset, workers=1)
    bundle = Bundle(tmp_path / "model")
    assert [case.id for case in bundle.datalist.held_out(0)] == ["case_0", "case_1"]
    assert [case.id for case in bundle.datalist.held_out(2)] == ["case_3", "case_4"]  # held out by no imported fold
    assert bundle.trained_folds() == [0, 1]
    assert bundle.plan.training_ranges is not None
    assert "training data" not in dict(bundle.plan.warnings or ())
    pipeline.evaluate_folds(bundle.root, [0], {})
    assert bundle.fold(0).results.is_file()
    settings = {"epochs": 1, "steps_per_epoch": 1, "val_interval": 1, "batch_size": 1}
    pipeline.train(bundle.root, [2], settings)
    assert bundle.trained_folds() == [0, 1, 2]
    shutil.rmtree(tmp_path / "model")


def test_imported_models_are_trained_further_on_other_channels_and_classes(tmp_path: Path) -> None:
    results = made.write_results(tmp_path / "results", folds=("0", "1"))
    pipeline.import_nnunet(results, tmp_path / "model")
    dataset = _data(tmp_path / "data")
    description = json.loads(dataset.read_text())
    description["images"] = {"t1": ["t1"]}
    description["final_classes"] = {"gland": [1], "tumour": [2]}
    dataset.write_text(json.dumps(description))
    options = PlanOptions(folds=2, epochs=1, steps_per_epoch=1, batch_size=1, val_fraction=0.2)
    chosen = frozenset({"folds", "epochs", "steps_per_epoch", "batch_size", "val_fraction"})
    source, out = str(tmp_path / "model"), tmp_path / "out"
    tuned = pipeline.finetune(source, dataset, out, options, TransferOptions(), chosen=chosen, workers=1)
    plan = tuned.plan
    assert plan.preprocessing is not None
    assert plan.preprocessing["schemes"] == [{"scheme": "zscore", "mask": True}]
    assert plan.inference == {"tiling": "nnunet", "average": "logits", "restore": "logits"}
    assert plan.target_spacing_mm.value == TARGET
    account = json.loads((tuned.bundle / "configs/transfer.json").read_text())
    assert "tumour" in account["classes"][-1]["from"]
    pipeline.train(tuned.bundle, [0], {"val_interval": 1})
    assert Bundle(tuned.bundle).trained_folds() == [0]


def test_other_data_are_refused(tmp_path: Path) -> None:
    results = made.write_results(tmp_path / "results", folds=("all",), channels=1)
    dataset = _data(tmp_path / "data", labels=(0, 1, 2, 5))
    with pytest.raises(InputError) as refused:
        pipeline.import_nnunet(results, tmp_path / "model", dataset=dataset)
    text = str(refused.value)
    assert "has the channels t1, flair; the model was trained with t1" in text
    assert "is [0, 1, 2, 5], ignored None; the model was trained with [0, 1, 2], ignored None" in text


def test_label_maps_are_those_of_mists_steps(tmp_path: Path) -> None:
    results = mist_made.write_results(tmp_path / "results", folds=(0, 1))
    imported = pipeline.import_mist(results, tmp_path / "model")
    assert dict(imported.table)["trained by"] == "MIST 2 (mist-medical 2.3.0, nnunet-pocket)"
    assert audit_bundle(tmp_path / "model").passed
    image = np.random.default_rng(0).normal(100, 20, (2, 21, 13, 10)).astype(np.float32)
    image[:, :2] = 0
    (tmp_path / "cases/a").mkdir(parents=True)
    for channel, name in zip(image, ("t1", "flair"), strict=True):
        stored = nibabel.Nifti1Image(channel, np.diag([-1.0, -1.0, 3.0, 1.0]))  # points to L, P, S
        nibabel.save(stored, tmp_path / f"cases/a/{name}.nii.gz")
    written = _predicted(tmp_path / "model", tmp_path / "cases", tmp_path / "predictions")
    prepared = np.zeros((1, *image.shape), np.float32)
    for number, channel in enumerate(image):
        inside = channel != 0
        low, high = np.percentile(channel[inside], [0.5, 99.5])
        normalized = (np.clip(channel, low, high) - channel[inside].mean()) / channel[inside].std()
        prepared[0, number] = normalized * inside
    total = torch.zeros(())
    network = mist_made.reference_network().eval()
    for fold in (0, 1):
        torch.manual_seed(fold)
        network.load_state_dict(mist_made.reference_network(heads=True).state_dict(), strict=False)
        for axes in flip_combinations((2, 3, 4)):
            turned = torch.flip(torch.from_numpy(prepared), axes)
            with torch.no_grad():
                logits = sliding_window_inference(turned, mist_made.PATCH, 1, network, 0.5, "gaussian")
                total = total + torch.flip(torch.softmax(logits, 1), axes)
    expected = np.array([0, 1, 4])[total[0].argmax(0).numpy()]
    assert len(np.unique(expected)) == 3
    assert (written != expected).mean() < 1e-3
