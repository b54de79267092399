"""DALI's graph computes what numpy computes, operator by operator and all together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mist_bundle.catalog.augmentations import augmentation
from mist_bundle.runtime.loading.dali import loader

from ..synthetic import Item
from .samples import ALWAYS, INTENSITIES, NEVER, assert_close, make

pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed")


@pytest.mark.parametrize("name", ["flip", *INTENSITIES])
def test_each_augmentation_gives_what_numpy_gives(folder: Path, items: list[Item], name: str) -> None:
    settings = NEVER | {f"{name}_probability": 1.0}
    assert_close(
        list(make(folder, items, augmentation=settings)),
        list(make(folder, items, "torch", augmentation=settings)),
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"rotation_probability": 1.0, "rotation_range": [-180, 180]},
        {"scaling_probability": 1.0},
        {"rotation_probability": 1.0, "scaling_probability": 1.0, "zoom_probability": 1.0, "flip_probability": 1.0},
        {"gamma_probability": 1.0},
        {"inverted_gamma_probability": 1.0},
        {"contrast_probability": 1.0, "contrast_about_mean": True},
    ],
    ids=lambda settings: "-".join(key.removesuffix("_probability") for key in settings),
)
def test_nnunets_augmentations_give_what_numpy_gives(folder: Path, items: list[Item], settings: dict[str, Any]) -> None:
    options = {"augmentation": NEVER | settings, "patch_size": (12, 10, 11)}
    assert_close(list(make(folder, items, **options)), list(make(folder, items, "torch", **options)))


@pytest.mark.parametrize("settings", [{"rotation_probability": 1.0}, {"scaling_probability": 1.0}])
def test_dalis_own_warp_which_a_gpu_uses_gives_what_the_cpu_gives(
    folder: Path, items: list[Item], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"augmentation": NEVER | settings, "patch_size": (12, 10, 11)}
    on_cpu = list(make(folder, items, **options))
    monkeypatch.setattr(loader, "warp_patch", lambda arrays, draw, patch_size: (arrays, draw))
    assert_close(list(make(folder, items, **options)), on_cpu)


# DALI looks cubic weights up in a table of steps of 1/32 voxel, which is off by a few thousandths of the image's
# standard deviation; odd patches have no voxel whose centre falls on the border of two, where rounding decides
TABLE_ERROR = 0.01


def test_low_resolution_gives_what_numpy_gives_up_to_the_table(folder: Path, items: list[Item]) -> None:
    settings = {"low_resolution_probability": 1.0, "low_resolution_range": [0.45, 0.8], "low_resolution_axes": [0, 2]}
    options = {"augmentation": NEVER | settings, "patch_size": (13, 10, 11)}
    pairs = list(zip(make(folder, items, **options), make(folder, items, "torch", **options), strict=True))
    for first, second in pairs:
        torch.testing.assert_close(first["image"], second["image"], rtol=0, atol=TABLE_ERROR)
        torch.testing.assert_close(first["label"], second["label"], rtol=0, atol=0)
    unchanged = make(folder, items, augmentation=NEVER, patch_size=(13, 10, 11))
    assert all(
        (plain["image"] - pair[0]["image"]).abs().max() > 0.5 for plain, pair in zip(unchanged, pairs, strict=True)
    )


@pytest.mark.parametrize("flip_axes", [(0,), (0, 1, 2)])
def test_a_batch_of_nnunets_gives_what_numpy_gives(folder: Path, items: list[Item], flip_axes: tuple[int, ...]) -> None:
    options = {"augmentation": augmentation("nnunet", flip_axes, (1, 1, 1)), "patch_size": (13, 9, 15)}
    options |= {"batch_size": 4, "steps_per_epoch": 12}
    exact = 0
    for first, second in zip(make(folder, items, **options), make(folder, items, "torch", **options), strict=True):
        torch.testing.assert_close(first["label"], second["label"], rtol=0, atol=0)
        errors = (first["image"] - second["image"]).abs().flatten(1).max(dim=1).values
        assert float(errors.max()) < 3 * TABLE_ERROR, "gamma may steepen it"
        exact += int((errors < 1e-4).sum())
    assert exact > 24, "half of the patches at least lose no resolution"


@pytest.mark.parametrize("scale", [0.55, 0.7, 0.9])
def test_zoom_gives_what_numpy_gives(folder: Path, items: list[Item], scale: float) -> None:
    settings = NEVER | {"zoom_probability": 1.0, "zoom_range": [scale, scale]}
    # extents chosen so that no voxel's centre falls on the border of two, where rounding decides
    options = {"augmentation": settings, "patch_size": (16, 8, 16)}
    assert_close(list(make(folder, items, **options)), list(make(folder, items, "torch", **options)))


@pytest.mark.parametrize("settings", [{}, ALWAYS, NEVER])
def test_all_together_give_what_numpy_gives(folder: Path, items: list[Item], settings: dict[str, Any]) -> None:
    options = {"augmentation": settings, "patch_size": (16, 8, 16), "steps_per_epoch": 10}
    assert_close(list(make(folder, items, **options)), list(make(folder, items, "torch", **options)))
