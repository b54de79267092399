"""What nobody has tried before is tried when the bundle is made, and refused with what it said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mist_bundle import pipeline
from mist_bundle.errors import InputError
from mist_bundle.planning.options import PlanOptions

# the others take seconds each: one process for each that is tried
slow = pytest.mark.slow
TINY = PlanOptions(recipe="quick", network="unet-pocket", regions=False, folds=2, epochs=1, steps_per_epoch=1)
TINY = replace(TINY, patch_size=(16, 16, 16))
CODE = """
import torch
from torch import nn

class Good(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, 1)
    def forward(self, image):
        return [self.conv(image), self.conv(image)] if self.training else self.conv(image)

class AsksForNumbers(Good):
    def forward(self, image):
        return super().forward(image) * (2 if image.mean().item() < 100 else 1)

class OtherArguments(nn.Module):
    def __init__(self, channels):
        super().__init__()

class Halves(Good):
    def forward(self, image):
        return nn.functional.avg_pool3d(self.conv(image), 2)

class AlwaysAList(Good):
    def forward(self, image):
        return [self.conv(image)]

class Loss(nn.Module):
    def forward(self, logits, label):
        return (torch.softmax(logits, 1)[:, :1] - (label == 0).float()).square().mean()

class NoGradient(Loss):
    def forward(self, logits, label):
        return super().forward(logits.argmax(1, keepdim=True).float().repeat(1, 2, 1, 1, 1), label)

class EachVoxel(nn.Module):
    def forward(self, logits, label):
        return logits.square()
"""


def _configure(phantom_json: Path, folder: Path, **asked: Any) -> Path:
    (folder / "own.py").write_text(CODE)
    return pipeline.autoconfig(phantom_json, folder / "out", replace(TINY, **asked)).bundle


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"network": "own.py:Good"}, marks=slow),
        {"network": "own.py:AsksForNumbers", "loss": "own.py:Loss"},
        pytest.param(
            {"loss": "monai.losses.TverskyLoss", "loss_arguments": {"to_onehot_y": True, "softmax": True}}, marks=slow
        ),
        {"loss": "dice_focal", "loss_arguments": {"gamma": 3.0}, "network_arguments": {"norm_name": "batch"}},
    ],
    ids=["network", "both; not on the meta device", "an installed loss", "arguments of the menu"],
)
def test_what_works_becomes_a_bundle(
    phantom_json: Path, tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = _configure(phantom_json, tmp_path, **asked)
    config = json.loads((bundle / "configs/train.json").read_text())
    for name, value in asked.get("loss_arguments", {}).items():
        assert config["loss"]["loss"][name] == value
    assert not list(bundle.rglob("__pycache__")), "the trial leaves nothing behind"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"network": "own.py:OtherArguments"}, "unexpected keyword argument 'in_channels'"),
        pytest.param(
            {"network": "own.py:Halves"},
            r"returns the shape \(2, 4, 8, 8, 8\) for images of \(2, 2, 16, 16, 16\)",
            marks=slow,
        ),
        pytest.param(
            {"network": "own.py:AlwaysAList"}, "in evaluation it returns a list; expected a single tensor", marks=slow
        ),
        pytest.param(
            {"network": "monai.networks.nets.BasicUNet", "patch_size": (8, 8, 8)},
            "more than 1 spatial element",
            marks=slow,
        ),
        ({"network_arguments": {"fooo": 1}}, "unexpected keyword argument 'fooo'"),
        pytest.param({"network_arguments": {"strides": [1, 2]}}, "Error: ", marks=slow),
        ({"loss": "own.py:NoGradient"}, "a number without a gradient"),
        pytest.param({"loss": "own.py:EachVoxel"}, "expected a single number", marks=slow),
        pytest.param(
            {"loss": "own.py:Loss", "class_weights": (1.0, 2.0, 3.0, 4.0)},
            "unexpected keyword argument 'class_weights'",
            marks=slow,
        ),
        ({"loss": "monai.losses.TverskyLoss"}, "AssertionError: ground truth has differing shape"),
    ],
)
def test_what_does_not_is_refused_and_nothing_is_written(
    phantom_json: Path, tmp_path: Path, asked: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        _configure(phantom_json, tmp_path, **asked)
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"network_arguments": {"in_channels": 7}}, "holds 'in_channels', which follows from the data"),
        ({"network_arguments": {"_target_": "os.system"}}, "holds '_target_'; expected names of arguments"),
        ({"loss_arguments": {"_requires_": "$1/0"}}, "--loss_arguments: holds '_requires_'"),
        ({"loss_arguments": {"class_weights": [1]}}, "follows from --class_weights"),
        ({"patch_divisor": (8, 8, 8)}, "--patch_divisor: does not apply to the network unet-pocket"),
        ({"deep_supervision_weights": (0.0, 1.0)}, "the first above 0"),
        ({"deep_supervision_weights": (1.0,), "deep_supervision_heads": 1}, "holds 1 numbers; expected 2"),
    ],
)
def test_names_that_cannot_be_chosen(phantom_json: Path, tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        _configure(phantom_json, tmp_path, **asked)
    assert words in str(caught.value)


def test_divisor_of_an_installed_network(phantom_json: Path, tmp_path: Path) -> None:
    asked = {"network": "monai.networks.nets.BasicUNet", "patch_size": (20, 20, 20), "patch_divisor": (16, 16, 16)}
    bundle = _configure(phantom_json, tmp_path, **asked)
    plan = json.loads((bundle / "configs/plan.json").read_text())
    assert plan["patch_divisor"] == [16, 16, 16]
    assert [size % 16 for size in plan["decisions"]["patch_size"]["value"]] == [0, 0, 0]


def test_weights_of_heads_reach_the_loss(phantom_json: Path, tmp_path: Path) -> None:
    weights = (1.0, 0.3)
    bundle = _configure(phantom_json, tmp_path, deep_supervision_heads=1, deep_supervision_weights=weights)
    assert json.loads((bundle / "configs/train.json").read_text())["loss"]["weights"] == list(weights)
