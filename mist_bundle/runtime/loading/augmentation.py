"""The augmentation settings of the training loaders: a flat, plain-JSON dictionary that a user edits in train.json.

Probabilities and ranges are MIST's defaults; what MIST does not have is switched off. All of them can be changed, and a
misspelt key is refused.
The settings say only what may be drawn; `patches.py` draws, and the loaders apply what was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..wording import nearest

SPATIAL_AXES = (0, 1, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """What the loaders may do to a patch.

    In the order of application: zoom, rotation and scaling, flips, noise, blur, brightness, contrast, low resolution,
    gamma of the inverted image, gamma. Every `*_probability` is per patch (`flip_probability`: per axis), every
    `*_range` (low, high) of a uniform draw, the same for all channels.

    Attributes:
        enabled: False turns everything off, whatever the other settings say.
        rotation_range: degrees, drawn for each of `rotation_axes`; rigid in millimetres.
        rotation_axes: the axes that patches are turned about; (2,) keeps anisotropic slices along Z in their plane.
        scaling_range: size of what is read over the size of the patch, by interpolation; above 1 shows more.
        flip_axes: the array axes (0 = X, 1 = Y, 2 = Z) that may be mirrored; leave out 0 when left and right differ.
        zoom_range: the share of the patch's edge that is read and then enlarged to the full patch; within (0, 1].
        noise_sd_range: standard deviation of Gaussian noise, in units of the normalised image.
        blur_sigma_range: sigma of a Gaussian blur, in voxels.
        brightness_range: factor on the intensities.
        contrast_range: factor on the intensities, clamped to the patch's own minimum and maximum.
        contrast_about_mean: the factor stretches each channel about its mean, which it so preserves (nnU-Net); False
            multiplies the intensities themselves (MIST).
        low_resolution_range: share of the voxels per axis that is kept (nearest neighbours) before the patch is
            enlarged again (cubic).
        low_resolution_axes: the axes that lose voxels.
        gamma_range: exponent on intensities that are scaled to [0, 1] per channel; mean and standard deviation are
            restored.
        inverted_gamma_range: the same on the inverted image.
        optional_channels: the channels that may be missing in a prediction; each is set to 0, the mean of a normalised
            image, with `channel_drop_probability`, whether or not the other augmentations are enabled.
    """

    enabled: bool = True
    zoom_probability: float = 0.15
    zoom_range: tuple[float, float] = (0.7, 1.0)
    rotation_probability: float = 0.0
    rotation_range: tuple[float, float] = (-30.0, 30.0)
    rotation_axes: tuple[int, ...] = SPATIAL_AXES
    scaling_probability: float = 0.0
    scaling_range: tuple[float, float] = (0.7, 1.4)
    flip_probability: float = 0.5
    flip_axes: tuple[int, ...] = SPATIAL_AXES
    noise_probability: float = 0.15
    noise_sd_range: tuple[float, float] = (0.0, 0.33)
    blur_probability: float = 0.15
    blur_sigma_range: tuple[float, float] = (0.5, 1.5)
    brightness_probability: float = 0.15
    brightness_range: tuple[float, float] = (0.7, 1.3)
    contrast_probability: float = 0.15
    contrast_range: tuple[float, float] = (0.65, 1.5)
    contrast_about_mean: bool = False
    low_resolution_probability: float = 0.0
    low_resolution_range: tuple[float, float] = (0.5, 1.0)
    low_resolution_axes: tuple[int, ...] = SPATIAL_AXES
    gamma_probability: float = 0.0
    gamma_range: tuple[float, float] = (0.7, 1.5)
    inverted_gamma_probability: float = 0.0
    inverted_gamma_range: tuple[float, float] = (0.7, 1.5)
    optional_channels: tuple[int, ...] = ()
    channel_drop_probability: float = 0.0

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> Augmentation:
        """Read the JSON dictionary; settings that it leaves out keep their default.

        Raises:
            ValueError: naming every unknown key (with the nearest known key) and every value out of bounds.
        """
        known = [field.name for field in fields(cls)]
        problems: list[str] = []
        settings: dict[str, Any] = {}
        for key, value in (config or {}).items():
            if key not in known:
                problems.append(_unknown(key, known))
                continue
            problems += _check(key, value)
            settings[key] = tuple(value) if isinstance(value, (list, tuple)) else value
        if problems:
            raise ValueError("augmentation: " + " ".join(problems))
        return cls(**settings)

    @property
    def moves_voxels(self) -> bool:
        """Whether rotation, scaling or zoom may be drawn: they would falsify distance maps."""
        return self.enabled and max(self.zoom_probability, self.rotation_probability, self.scaling_probability) > 0


def _unknown(key: str, known: list[str]) -> str:
    close = nearest(str(key), known)
    hint = f"did you mean '{close}'?" if close else f"known: {', '.join(known)}."
    return f"'{key}' is not a setting, {hint}"


def _check(key: str, value: Any) -> list[str]:
    if key in ("enabled", "contrast_about_mean"):
        return [] if isinstance(value, bool) else [f"'{key}' must be true or false, not {value!r}."]
    if key == "optional_channels":
        are_numbers = isinstance(value, (list, tuple)) and all(type(item) is int and item >= 0 for item in value)
        return [] if are_numbers else [f"'{key}' must list numbers of channels from 0, not {value!r}."]
    if key.endswith("_axes"):
        return _check_axes(key, value)
    if key.endswith("_probability"):
        valid = _is_number(value) and 0 <= value <= 1
        return [] if valid else [f"'{key}' must be a number from 0 to 1, not {value!r}."]
    return _check_range(key, value)


def _check_axes(key: str, value: Any) -> list[str]:
    message = f"'{key}' must list array axes out of {list(SPATIAL_AXES)}, each at most once, not {value!r}."
    if not isinstance(value, (list, tuple)):
        return [message]
    for axis in value:
        is_axis = isinstance(axis, int) and not isinstance(axis, bool) and axis in SPATIAL_AXES
        if not is_axis or value.count(axis) > 1:
            return [message]
    return []


def _check_range(key: str, value: Any) -> list[str]:
    if not _is_pair_of_numbers(value):
        return [f"'{key}' must be two numbers [low, high], not {value!r}."]
    low, high = value
    if low > high:
        return [f"'{key}' must be [low, high] with low <= high, not {value!r}."]
    if key == "rotation_range":
        fits, bounds = low >= -180 and high <= 180, "lie within -180 to 180 degrees"
    elif key == "noise_sd_range":
        fits, bounds = low >= 0, "not be negative"
    elif key in ("zoom_range", "low_resolution_range") and low > 0:
        fits, bounds = high <= 1, "lie within (0, 1] (a share of the patch that is enlarged)"
    else:
        fits, bounds = low > 0, "be positive"
    return [] if fits else [f"'{key}' must {bounds}, but is {value!r}."]


def _is_pair_of_numbers(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    return _is_number(value[0]) and _is_number(value[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
