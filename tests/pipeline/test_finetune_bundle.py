"""From a trained bundle to one for other data, which trains from the weights that it carries, wherever it is moved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mist_bundle import pipeline
from mist_bundle.bundle.manifest import file_hashes
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError
from mist_bundle.files import read_json
from mist_bundle.planning.options import PlanOptions, TransferOptions
from mist_bundle.transfer.account import TRANSFER_JSON, account_rows
from mist_bundle.transfer.tensors import read_weights
from mist_bundle.trust.audit import require_audited
from tests.transfer.test_open_source import stock_bundle
from tests.trust.audit.hostile import edit

SHORT = PlanOptions(folds=2, epochs=2, steps_per_epoch=2, val_fraction=0.2)
STAGED = TransferOptions(freeze="encoder", unfreeze_epoch=2, layer_decay=0.5)


def _rows(configured: pipeline.Configured) -> list[tuple[str, str, str]]:
    return account_rows(read_json(configured.bundle / TRANSFER_JSON))


@pytest.fixture(scope="module")
def other_json(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four channels, two of them new, and other classes."""
    folder = tmp_path_factory.mktemp("brats") / "data"
    return make_phantom(folder, kind="brats", num_cases=4, num_test=1, seed=2, shape=(28, 26, 20))


@pytest.fixture(scope="module")
def tuned(trained_bundle: Path, other_json: Path, tmp_path_factory: pytest.TempPathFactory) -> pipeline.Configured:
    return pipeline.finetune(str(trained_bundle), other_json, tmp_path_factory.mktemp("tuned"), SHORT, STAGED)


def _plan(bundle: Path) -> dict:
    return json.loads((bundle / "configs/plan.json").read_text())


def test_the_plan_says_what_was_kept_and_why(tuned: pipeline.Configured, trained_bundle: Path) -> None:
    plan, source = _plan(tuned.bundle), _plan(trained_bundle)
    for name in ("target_spacing_mm", "patch_size", "normalization"):
        assert plan["decisions"][name]["value"] == source["decisions"][name]["value"]
        assert plan["decisions"][name]["because"].startswith("Kept from"), name
    assert plan["decisions"]["recipe"]["value"] == "quick", "the source's"
    assert plan["network_arguments"]["in_channels"] == 4
    assert plan["decisions"]["frozen_epochs"]["value"] == 1
    # so small a patch is halved once only: the first step up stays at the coarsest resolution
    assert plan["decisions"]["frozen_parts"]["value"] == [
        f"body.{part}" for part in ("input_block", "downsamples", "bottleneck", "upsamples.0")
    ]
    assert set(plan["layer_rates"].values()) == {1.0, 0.5, 0.25}


def test_the_bundle_is_whole_and_the_source_untouched(tuned: pipeline.Configured, trained_bundle: Path) -> None:
    bundle = tuned.bundle
    assert not list((bundle / "models").iterdir()), "initial weights are not offered as a model"
    require_audited(bundle)
    assert "transfer/initial.safetensors" in json.loads((bundle / "MANIFEST.json").read_text())["files"]
    listed = json.loads((trained_bundle / "MANIFEST.json").read_text())["files"]
    assert file_hashes(trained_bundle) == listed
    report = json.loads((bundle / "configs/transfer.json").read_text())
    # the first layer takes the two new channels; no class of the source bears a new one's name
    assert (report["summary"]["adapted"], report["summary"]["new"], report["summary"]["skipped"]) == (1, 2, 0)
    assert str(trained_bundle.parent) not in json.dumps(report)


def test_the_licence_of_the_source_comes_along(tuned: pipeline.Configured, trained_bundle: Path) -> None:
    told = (tuned.bundle / "docs/source_license.txt").read_text()
    assert (trained_bundle / "docs/data_license.txt").read_text().strip() in told
    assert "docs/source_license.txt" in (tuned.bundle / "docs/README.md").read_text()
    assert "docs/source_license.txt" not in (trained_bundle / "docs/README.md").read_text()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"decisions#network#value": "monai.networks.nets.HoVerNet"}, "its network is 'monai.networks.nets.HoVerNet'"),
        ({"network_arguments#pretrained_url": "http://127.0.0.1:9/x"}, "it makes the component fetch"),
    ],
)
def test_a_network_that_fetches_is_not_built_even_when_trusted(
    trained_bundle: Path, other_json: Path, tmp_path: Path, values: dict[str, str], words: str
) -> None:
    source = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, source)
    edit(source, "configs/plan.json", **values)
    with pytest.raises(InputError, match=words):
        pipeline.finetune(str(source), other_json, tmp_path / "out", SHORT, TransferOptions(), trust=True)
    assert not (tmp_path / "out").exists()


def test_training_begins_from_the_weights_and_freezes_them(tuned: pipeline.Configured, tmp_path: Path) -> None:
    bundle = tmp_path / tuned.bundle.name
    shutil.copytree(tuned.bundle, bundle)
    settings = {"dataset_dir": str(_data(tuned)), "work_dir": str(tmp_path / "work"), "val_interval": 1}
    pipeline.train(bundle, [0], {**settings, "epochs": 1})
    initial = load_file(bundle / "transfer/initial.safetensors")
    first = read_weights(bundle / "models/fold_0.pt")
    parts = tuple(f"{part}." for part in _plan(bundle)["decisions"]["frozen_parts"]["value"])
    frozen = [name for name in initial if name.startswith(parts)]
    assert len(frozen) > 20
    # the running mean of equal weights may differ in the last bit
    for name in frozen:
        torch.testing.assert_close(first[name], initial[name], rtol=1e-6, atol=1e-7)
    moved = [name for name in initial if not name.startswith(parts)]
    assert any(not torch.equal(first[name], initial[name]) for name in moved)
    # the second epoch continues from the first, not from the initial weights, and trains the encoder too
    pipeline.train(bundle, [0], {**settings, "epochs": 2, "resume": True})
    state = torch.load(tmp_path / "work/fold_0/last.pt", weights_only=True)
    assert state["epoch"] == 2
    assert any(not torch.equal(state["network"][name], initial[name]) for name in frozen)
    assert len(state["optimizer"]["param_groups"]) == len(set(_plan(bundle)["layer_rates"].values()))


def _data(tuned: pipeline.Configured) -> Path:
    bundle = tuned.bundle
    text = json.loads((bundle / "configs/train.json").read_text())["dataset_dir"]
    relative = text.split("@bundle_root, '")[1].split("'")[0]
    return (bundle / relative).resolve()


def test_a_stock_bundle_becomes_one_of_ours(other_json: Path, tmp_path: Path) -> None:
    source = stock_bundle(tmp_path)
    made = pipeline.finetune(str(source), other_json, tmp_path / "out", SHORT, TransferOptions(), trust=True)
    plan = made.plan
    assert plan.network.value == "monai.networks.nets.UNet"
    assert plan.target_spacing_mm.value == (1.5, 1.5, 2.0)
    assert plan.patch_size.value == (32, 32, 16)
    train = json.loads((made.bundle / "configs/train.json").read_text())
    network = train["network_def"]
    assert (network["_target_"], network["in_channels"], network["out_channels"]) == (plan.network.value, 4, 3)
    assert network["norm"] == "batch"
    # its classes overlap, so each is an output of its own
    assert {"WT", "TC", "ET"} == {row[1] for row in _rows(made) if row[0] == "class"}
    pipeline.train(made.bundle, [0], {"epochs": 1, "steps_per_epoch": 1})
    assert (made.bundle / "models/model.pt").is_file()


def test_replan_takes_the_rules_for_spacing_and_patch(trained_bundle: Path, other_json: Path, tmp_path: Path) -> None:
    made = pipeline.finetune(str(trained_bundle), other_json, tmp_path, SHORT, TransferOptions(replan=True))
    patch, spacing = made.plan.patch_size, made.plan.target_spacing_mm
    assert "lanned again" in patch.because
    assert "lanned again" in spacing.because
    assert patch.value != tuple(_plan(trained_bundle)["decisions"]["patch_size"]["value"])
    assert ("skipped", "0") in {row[:2] for row in _rows(made)}, "the network stays the source's: all weights fit"


def test_the_source_is_never_overwritten(trained_bundle: Path, phantom_json: Path) -> None:
    with pytest.raises(InputError, match="is the source itself"):
        pipeline.finetune(
            str(trained_bundle), phantom_json, trained_bundle.parent, SHORT, TransferOptions(), overwrite=True
        )


def test_options_that_cannot_be_met_are_all_named(trained_bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    wrong = TransferOptions(channels="avrage", freeze="decoder", layer_decay=1.5, unfreeze_epoch=1)
    with pytest.raises(InputError) as caught:
        pipeline.finetune(str(trained_bundle), phantom_json, tmp_path, SHORT, wrong)
    assert len(caught.value.problems) == 4
    assert "Did you mean 'average'?" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_uncertainty_maps_in_the_grid_of_the_case(trained_bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    written, _ = pipeline.predict(trained_bundle, phantom_json.parent / "test", tmp_path / "out", uncertainty=True)
    for path in written:
        label = nib.load(path)
        for name in ("entropy", "disagreement"):
            image = nib.load(tmp_path / "out/uncertainty" / f"{path.name.removesuffix('.nii.gz')}_{name}.nii.gz")
            assert image.shape == label.shape
            np.testing.assert_allclose(image.affine, label.affine, atol=1e-5)
            values = np.asarray(image.dataobj)
            assert values.min() >= 0
            assert values.max() <= 1
            assert values.max() > 0, "two folds of a few steps are not sure, and not of one mind"
