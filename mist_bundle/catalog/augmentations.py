"""MIST's augmentations: each probability and range, in the order they are applied (mist-medical 2.3.0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FOREGROUND_PROBABILITY = 0.6  # share of patches placed on a foreground voxel (mist-medical 2.3.0)

MIST_AUGMENTATION: dict[str, Any] = {
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


def augmentation(flip_axes: Sequence[int]) -> dict[str, Any]:
    """The augmentation settings of a bundle; only the axes given are ever flipped."""
    return {**MIST_AUGMENTATION, "flip_axes": list(flip_axes)}
