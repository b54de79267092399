"""The networks of the catalogue, and a user's own, as bundles: configured, trained, resumed, used and exported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mist_bundle import pipeline
from mist_bundle.analysis.fingerprint import analyze
from mist_bundle.bundle.configs.inference import inference_config
from mist_bundle.bundle.configs.parts import TRAINING_CLASSES
from mist_bundle.bundle.configs.train import train_config
from mist_bundle.bundle.launch import INFERENCE, TRAINING, workflow_command
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan, make_plan
from tests.bundle.run_monai import run_monai

TINY = PlanOptions(recipe="quick", folds=2, epochs=1, steps_per_epoch=2, patch_size=(16, 16, 16), val_fraction=0.2)
OWN = """
from torch import nn

class Own(nn.Module):
    patch_divisor = 4

    def __init__(self, in_channels, out_channels, width=4):
        super().__init__()
        self.down = nn.Conv3d(in_channels, width, kernel_size=4, stride=4)
        self.up = nn.ConvTranspose3d(width, out_channels, kernel_size=4, stride=4)

    def forward(self, image):
        return self.up(self.down(image))
"""


@pytest.fixture(scope="module")
def measured(phantom_json: Path) -> tuple[DatasetSpec, Any]:
    spec = DatasetSpec.from_json(phantom_json)
    return spec, analyze(spec, find_cases(spec, "train").cases)


def _plan(measured: tuple[DatasetSpec, Any], **asked: Any) -> Plan:
    return make_plan(*measured, replace(TINY, recipe="paper", **asked))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_is_configured(name: str, measured: tuple[DatasetSpec, Any]) -> None:
    plan = _plan(measured, network=name, patch_size=(20, 20, 20))
    divisor = plan.patch_divisor
    assert all(size % part == 0 for size, part in zip(plan.patch_size.value, divisor, strict=True))
    assert "Changed from 20 x 20 x 20" in plan.patch_size.because or plan.patch_size.value == (20, 20, 20)
    inference = inference_config(plan, "name", "id", "..")["network_def"]
    training = train_config(plan, "name", "id", "..")["network_def"]
    assert inference["_target_"] == NETWORKS[name].target
    assert not inference.get("deep_supervision")
    while "network" in training:
        assert training["_target_"] in ("scripts.networks.heads.with_heads", "scripts.networks.vae.with_vae")
        training = training["network"]
    target = NETWORKS[name].target
    assert training["_target_"] in (target, TRAINING_CLASSES.get(target))
    json.dumps(plan.to_json())


def test_options_reach_the_configuration(measured: tuple[DatasetSpec, Any]) -> None:
    plan = _plan(measured, network="mednext-small", deep_supervision_heads=1, residual=False, kernel_size=5, vae=True)
    config = train_config(plan, "name", "id", "..")
    vae = config["network_def"]
    heads = vae["network"]
    assert (vae["patch_size"], vae["widths"]) == ("@patch_size", [32, 64, 128, 256, 512])
    assert (heads["modules"], heads["channels"]) == (["dec_stages.2"], [64])
    assert (heads["network"]["kernel_size"], heads["network"]["use_residual_connection"]) == (5, False)
    assert config["loss"]["_target_"] == "scripts.losses.regularized.RegularizedLoss"
    keeper = config["checkpoints"]["training_only_keys"]
    assert {"auxiliary_heads.", "vae_branch."} <= set(keeper)
    assert plan.vae.because == "Chosen by the user."


def test_heads_that_do_not_fit_are_fewer_and_it_says_so(measured: tuple[DatasetSpec, Any]) -> None:
    plan = _plan(measured, network="nnunet", deep_supervision_heads=9)
    assert plan.deep_supervision_heads.value == len(plan.network_arguments["strides"]) - 2
    assert "The network has no room for 9" in plan.deep_supervision_heads.because


def test_further_arguments_of_a_network(measured: tuple[DatasetSpec, Any]) -> None:
    plan = _plan(measured, network="segresnet", network_arguments={"dropout_prob": 0.1})
    assert train_config(plan, "name", "id", "..")["network_def"]["dropout_prob"] == 0.1


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"network": "nnunett"}, "there is no network called 'nnunett'. Did you mean 'nnunet'?"),
        ({"network": "segresnet", "residual": False}, "--residual: does not apply to the network segresnet"),
        (
            {"network": "own.Net", "deep_supervision_heads": 2},
            "--deep_supervision_heads: does not apply to the network own",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(measured: tuple[DatasetSpec, Any], asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        _plan(measured, **asked)
    assert message in str(caught.value)


@pytest.mark.parametrize("workflow", [TRAINING, INFERENCE])
@pytest.mark.parametrize("patch", [[18, 16, 16], "[18, 16, 16]", "18,16,16"])
def test_patch_that_the_network_cannot_take_is_refused_at_once(fresh_bundle: Path, workflow: Any, patch: Any) -> None:
    divisor = json.loads((fresh_bundle / "configs/plan.json").read_text())["patch_divisor"]
    assert divisor[0] == 4, "else the patch of this test fits"
    with pytest.raises(InputError, match=r"--patch_size: is 18,16,16, .* The nearest: 16,16,16 or 20,16,16\."):
        workflow_command(fresh_bundle, workflow, {"patch_size": patch})
    assert workflow_command(fresh_bundle, workflow, {"patch_size": [20, 16, 16]})[-1] == "[20, 16, 16]"


def test_own_network_by_file(phantom_json: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    options = replace(TINY, network="own.py:Own", network_arguments={"width": 6}, patch_size=(18, 16, 16))
    made = pipeline.autoconfig(phantom_json, tmp_path, options)
    assert made.plan.patch_size.value == (20, 16, 16)
    assert "patch_divisor is 4 x 4 x 4" in made.plan.patch_size.because
    assert (made.bundle / "scripts/user/own.py").read_text() == OWN
    network = json.loads((made.bundle / "configs/inference.json").read_text())["network_def"]
    assert network["_target_"] == "scripts.user.own.Own"
    assert (network["in_channels"], network["width"]) == (2, 6)
    assert str(tmp_path) not in (made.bundle / "configs/plan.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        {"network": "wnet", "vae": True, "deep_supervision_heads": 1},
        {"network": "mednext-small", "deep_supervision_heads": 2},
        {"network": "swinunetr-small", "vae": True},
        {"network": "attention-unet-pocket", "deep_supervision_heads": 1},
        {"network": "segresnet"},
        {"network": "nnunet", "vae": True, "deep_supervision_heads": 1, "residual": True},
    ],
    ids=lambda asked: asked["network"],
)
def test_trains_resumes_predicts_and_exports(phantom_json: Path, tmp_path: Path, asked: dict[str, Any]) -> None:
    bundle = pipeline.autoconfig(phantom_json, tmp_path / "out", replace(TINY, **asked)).bundle
    configs, data = bundle / "configs", ["--dataset_dir", str(phantom_json.parent / "train")]
    run_monai("training", configs / "train.json", *data, cwd=tmp_path)
    weights = torch.load(bundle / "models/model.pt", weights_only=True)
    assert not any("super" in name or "auxiliary" in name or "vae_branch" in name for name in weights)
    run_monai("training", configs / "train.json", *data, "--epochs", "2", "--resume", "true", cwd=tmp_path)
    history = (tmp_path / "out" / f"{bundle.name}_work/fold_0/history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == [1, 2]
    run_monai("inference", configs / "inference.json", *data, "--output_dir", str(tmp_path / "seg"), cwd=tmp_path)
    assert len(list((tmp_path / "seg").glob("*.nii.gz"))) == 2
    _check_in_and_out(bundle)
    _check_export(bundle, tmp_path)


def _check_in_and_out(bundle: Path) -> None:
    code = (
        "import sys; sys.modules['mist_bundle'] = None\n"
        "from monai.bundle import verify_net_in_out\n"
        "verify_net_in_out('network_def', meta_file='configs/metadata.json', config_file='configs/inference.json', "
        "device='cpu')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def _check_export(bundle: Path, folder: Path) -> None:
    code = (
        "import sys, torch; sys.modules['mist_bundle'] = None\n"
        "from monai.bundle import ConfigParser\n"
        "config = ConfigParser(); config.read_config('configs/inference.json')\n"
        "network = config.get_parsed_content('network_def').eval()\n"
        "network.load_state_dict(torch.load('models/model.pt', weights_only=True))\n"
        "image = torch.randn(1, 2, *config['patch_size'])\n"
        "program = torch.export.export(network, (image,))\n"
        "torch.export.save(program, sys.argv[1])\n"
        "again = torch.export.load(sys.argv[1]).module()\n"
        "with torch.no_grad():\n"
        "    torch.testing.assert_close(again(image), network(image), rtol=1e-4, atol=1e-4)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(folder / "model.pt2")]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_own_network_trains_and_predicts_where_its_file_is_not(
    phantom_json: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "own_package").mkdir(parents=True)
    monkeypatch.chdir(home)
    (home / "own_package/__init__.py").write_text("")
    (home / "own_package/nets.py").write_text(OWN)
    made = pipeline.autoconfig(phantom_json, home, replace(TINY, network="own_package.nets.Own"))
    moved = tmp_path / "elsewhere" / made.bundle.name
    shutil.copytree(made.bundle, moved)
    shutil.rmtree(home)
    _trains_and_predicts(moved, phantom_json, tmp_path)


@pytest.mark.slow
def test_own_network_by_editing_the_json(own_bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    (own_bundle / "scripts/user").mkdir()
    (own_bundle / "scripts/user/__init__.py").write_text("")
    (own_bundle / "scripts/user/own.py").write_text(OWN)
    planned = json.loads((own_bundle / "configs/inference.json").read_text())["network_def"]
    sizes = {"in_channels": planned["in_channels"], "out_channels": planned["out_channels"]}
    network = {"_target_": "scripts.user.own.Own", "_requires_": "@scripts_path", **sizes}
    for name in ("train", "evaluate", "inference"):
        path = own_bundle / f"configs/{name}.json"
        config = json.loads(path.read_text())
        config["network_def"] = network
        path.write_text(json.dumps(config))
    _trains_and_predicts(own_bundle, phantom_json, tmp_path)


def _trains_and_predicts(bundle: Path, phantom_json: Path, tmp_path: Path) -> None:
    data = ["--dataset_dir", str(phantom_json.parent / "train")]
    configs = bundle / "configs"
    run_monai("training", configs / "train.json", *data, "--epochs", "1", cwd=tmp_path)
    weights = torch.load(bundle / "models/model.pt", weights_only=True)
    assert sorted(weights) == ["down.bias", "down.weight", "up.bias", "up.weight"]
    run_monai("inference", configs / "inference.json", *data, "--output_dir", str(tmp_path / "seg"), cwd=tmp_path)
    assert len(list((tmp_path / "seg").glob("*.nii.gz"))) == 2
