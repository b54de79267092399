"""The augmentations on the menu: each probability and range, as they stand in train.json where a user edits them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mist_bundle.catalog.choice import Choice

FOREGROUND_PROBABILITY = 0.6  # share of patches placed on a foreground voxel (mist-medical 2.3.0)
CHANNEL_DROP_PROBABILITY = 0.25  # of each channel that may be missing in a prediction
# what such a voxel is drawn from: all voxels of a class, or its instances, each as likely as the others
PATCH_SAMPLINGS = ("class", "instance")

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

# Not in MIST: switched off but with ranges, so that a user only has to raise a probability in train.json
_OFF: dict[str, Any] = {
    "rotation_probability": 0.0,
    "rotation_range": [-30.0, 30.0],
    "scaling_probability": 0.0,
    "scaling_range": [0.7, 1.4],
    "low_resolution_probability": 0.0,
    "low_resolution_range": [0.5, 1.0],
    "gamma_probability": 0.0,
    "gamma_range": [0.7, 1.5],
    "inverted_gamma_probability": 0.0,
    "inverted_gamma_range": [0.7, 1.5],
    "contrast_about_mean": False,
}

# nnU-Net's, drawn once for all channels; it draws brightness, contrast, gamma, blur and low resolution per channel
_NNUNET: dict[str, Any] = {
    **_MIST,
    "zoom_probability": 0.0,
    "rotation_probability": 0.2,
    "rotation_range": [-30.0, 30.0],
    "scaling_probability": 0.2,
    "scaling_range": [0.7, 1.4],
    "noise_probability": 0.1,
    "noise_sd_range": [0.0, 0.1],
    "blur_probability": 0.2,
    "blur_sigma_range": [0.5, 1.0],
    "brightness_range": [0.75, 1.25],
    "contrast_range": [0.75, 1.25],
    "contrast_about_mean": True,
    "low_resolution_probability": 0.25,
    "low_resolution_range": [0.5, 1.0],
    "gamma_probability": 0.3,
    "gamma_range": [0.7, 1.5],
    "inverted_gamma_probability": 0.1,
    "inverted_gamma_range": [0.7, 1.5],
}
# Slices that are far apart are turned in their plane only, there all the way round, and lose no slices (nnU-Net)
COARSE_SPACING_RATIO = 3.0
IN_PLANE_ROTATION_RANGE = [-180.0, 180.0]

AUGMENTATIONS: dict[str, Choice] = {
    "mist": Choice(
        target=_TARGET,
        kwargs={**_MIST, **_OFF},
        about="MIST's: zoom, flips, noise, blur, brightness, contrast (default).",
        cite="mist-medical 2.3.0",
    ),
    "nnunet": Choice(
        target=_TARGET,
        kwargs=_NNUNET,
        about="nnU-Net's: rotation, scaling, flips, noise, blur, brightness, contrast, low resolution, gamma.",
        cite="Isensee et al., Nature Methods 2021, doi:10.1038/s41592-020-01008-z",
    ),
    "none": Choice(target=_TARGET, kwargs={"enabled": False}, about="Patches as they are."),
}


def augmentation(name: str, flip_axes: Sequence[int], spacing_mm: Sequence[float]) -> dict[str, Any]:
    """The augmentation settings of a bundle.

    Args:
        name: a row of the menu.
        flip_axes: the only axes that are ever flipped.
        spacing_mm: of the prepared grid; an axis more than three times coarser than the finest axis is left alone.
    """
    settings = {**AUGMENTATIONS[name].kwargs, "flip_axes": list(flip_axes)}
    if settings.get("enabled", True):
        coarse = max(range(3), key=lambda axis: spacing_mm[axis])
        in_plane = spacing_mm[coarse] / min(spacing_mm) > COARSE_SPACING_RATIO
        settings["rotation_axes"] = [coarse] if in_plane else [0, 1, 2]
        settings["low_resolution_axes"] = [axis for axis in range(3) if not (in_plane and axis == coarse)]
        if in_plane:
            settings["rotation_range"] = list(IN_PLANE_ROTATION_RANGE)
    return settings
