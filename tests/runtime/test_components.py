"""Every value inside of a training's components is known by its id; what only says where it runs is not compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from mist_bundle.runtime.components import component_values

CONFIG: dict[str, Any] = {
    "bundle_root": "/here",
    "epochs": 3,
    "device": "cpu",
    "loss": {"_target_": "Dice", "smooth_nr": 1e-5, "parts": [{"weight": 1}, {"weight": 2}]},
    "train": {"sampler": None, "trainer": {"max_epochs": "@epochs"}},
    "run": ["$@train#trainer.run()"],
}


def _values(tmp_path: Path, **overrides: Any) -> dict[str, str]:
    (tmp_path / "configs").mkdir(exist_ok=True)
    overlay = {"train#sampler": {"_target_": "Sampler"}, "device": "cuda"}
    (tmp_path / "configs/multi_gpu_train.json").write_text(json.dumps(overlay))
    parser = ConfigParser(json.loads(json.dumps(CONFIG)))
    parser.update(overrides)
    parser.resolve_macro_and_relative_ids()
    return component_values(parser.config, str(tmp_path))


def test_values_by_their_ids(tmp_path: Path) -> None:
    assert _values(tmp_path) == {
        "loss#_target_": "Dice",
        "loss#smooth_nr": "1e-05",
        "loss#parts#0#weight": "1",
        "loss#parts#1#weight": "2",
        "train#trainer#max_epochs": "@epochs",
    }


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ({"loss#smooth_nr": 0.1}, "loss#smooth_nr"),
        ({"loss::parts::1::weight": 3}, "loss#parts#1#weight"),
        ({"loss#new": True}, "loss#new"),
        ({"loss": {"_target_": "Other"}}, "loss#_target_"),
        ({"train#trainer#max_epochs": 5}, "train#trainer#max_epochs"),
        ({"loss#text": "x" * 100}, "loss#text"),
    ],
)
def test_an_override_shows(tmp_path: Path, overrides: dict[str, Any], name: str) -> None:
    before, after = _values(tmp_path), _values(tmp_path, **overrides)
    assert before.get(name) != after[name]
    assert len(after[name]) <= 40


@pytest.mark.parametrize("overrides", [{"epochs": 9}, {"device": "cuda:1"}, {"train#sampler": {"_target_": "S"}}])
def test_settings_and_what_several_gpus_change_do_not(tmp_path: Path, overrides: dict[str, Any]) -> None:
    assert _values(tmp_path, **overrides) == _values(tmp_path)
