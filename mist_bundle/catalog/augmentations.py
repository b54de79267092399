"""The augmentations on the menu: each probability and range, as they stand in train.json where a user edits them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mist_bundle.catalog.choice import Choice

FOREGROUND_PROBABILITY = 0.6  # share of patches placed on a foreground voxel (mist-medical 2.3.0)

_TARGET = "scripts.loading.augmentation.Augmentation"  # what reads the settings

_MIST: dict[str, Any] = {
    "zoom_probability": 0.15,
    "zoom_range": [0.7, 1.0],
    "flip_probability": 0.5,
    "noise_probability": 0.15,
    "noise_sd_range": [0.0, 0.33],
    "blur_probability": 0.15,
    "blur_sigma_range": [0.5, 1.5],
    "brightness_probability": 0.15,
    "brightness_range": [0.7, 1.3],
    "contrast_probability": 0.15,
    "contrast_range": [0.65, 1.5],
}

AUGMENTATIONS: dict[str, Choice] = {
    "mist": Choice(
        target=_TARGET,
        kwargs=_MIST,
        about="MIST's: zoom, flips, noise, blur, brightness, contrast (default).",
        cite="mist-medical 2.3.0",
    ),
    "none": Choice(target=_TARGET, kwargs={"enabled": False}, about="Patches as they are."),
}


def augmentation(name: str, flip_axes: Sequence[int]) -> dict[str, Any]:
    """The augmentation settings of a bundle; only the axes given are ever flipped."""
    return {**AUGMENTATIONS[name].kwargs, "flip_axes": list(flip_axes)}
