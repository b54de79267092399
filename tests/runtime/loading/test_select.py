"""The choice between DALI and torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.runtime.loading import select
from mist_bundle.runtime.loading.dali.loader import DaliPatchLoader
from mist_bundle.runtime.loading.select import dali_installed, patch_loader
from mist_bundle.runtime.loading.torch_loader import TorchPatchLoader

from .synthetic import array_cache


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    return {"data": [], "cache": array_cache(tmp_path / "cache"), "patch_size": [8, 8, 8]}


@pytest.mark.parametrize(
    ("loader", "installed", "kind"),
    [
        ("auto", True, DaliPatchLoader),
        ("auto", False, TorchPatchLoader),
        ("dali", True, DaliPatchLoader),
        ("torch", True, TorchPatchLoader),
    ],
)
def test_the_chosen_loader(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch, loader: Any, installed: bool, kind: type
) -> None:
    monkeypatch.setattr(select, "dali_installed", lambda: installed)
    assert type(patch_loader(**arguments, loader=loader)) is kind


def test_settings_reach_the_loader(arguments: dict[str, Any]) -> None:
    settings = {
        "batch_size": 6,
        "steps_per_epoch": 11,
        "seed": 5,
        "rank": 1,
        "world_size": 2,
        "foreground_probability": 0.25,
    }
    for kind in ("dali", "torch"):
        made = patch_loader(**arguments, **settings, augmentation={"flip_axes": [2]}, device="cpu", loader=kind)
        assert {name: getattr(made.settings, name) for name in settings} == settings
        assert made.settings.augmentation.flip_axes == (2,)
        assert len(made) == 11


def test_without_dali(arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "dali_installed", lambda: False)
    with pytest.raises(ModuleNotFoundError, match=r"DALI is not installed .* Set loader to 'auto' or 'torch'"):
        patch_loader(**arguments, loader="dali")
    with pytest.raises(ValueError, match="loader must be 'auto', 'dali' or 'torch', not 'tensorflow'"):
        patch_loader(**arguments, loader="tensorflow")  # type: ignore[arg-type]


def test_finding_out_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(select, "find_spec", absent)  # no package "nvidia" at all
    assert dali_installed() is False
    monkeypatch.undo()
    before = set(sys.modules)
    dali_installed()
    assert not {name for name in set(sys.modules) - before if name.startswith("nvidia.dali")}
