"""Augmentation settings: defaults, the JSON form, and messages for wrong values."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from mist_bundle.catalog.augmentations import AUGMENTATIONS, augmentation
from mist_bundle.runtime.loading.augmentation import Augmentation

OFF = {
    "rotation_probability": 0.0,
    "rotation_range": [-30.0, 30.0],
    "rotation_axes": [0, 1, 2],
    "scaling_probability": 0.0,
    "scaling_range": [0.7, 1.4],
    "contrast_about_mean": False,
    "low_resolution_probability": 0.0,
    "low_resolution_range": [0.5, 1.0],
    "low_resolution_axes": [0, 1, 2],
    "gamma_probability": 0.0,
    "gamma_range": [0.7, 1.5],
    "inverted_gamma_probability": 0.0,
    "inverted_gamma_range": [0.7, 1.5],
}


def _as_json(settings: Augmentation) -> dict[str, Any]:
    """The settings as they may stand in a JSON file."""
    return dict(json.loads(json.dumps(dataclasses.asdict(settings))))


def test_defaults_are_those_of_mist() -> None:
    assert (
        _as_json(Augmentation.from_config(None))
        == {
            "optional_channels": [],
            "channel_drop_probability": 0.0,
            "enabled": True,
            "zoom_probability": 0.15,
            "zoom_range": [0.7, 1.0],
            "flip_probability": 0.5,
            "flip_axes": [0, 1, 2],
            "noise_probability": 0.15,
            "noise_sd_range": [0.0, 0.33],
            "blur_probability": 0.15,
            "blur_sigma_range": [0.5, 1.5],
            "brightness_probability": 0.15,
            "brightness_range": [0.7, 1.3],
            "contrast_probability": 0.15,
            "contrast_range": [0.65, 1.5],
        }
        | OFF
    )


def test_rows_of_the_menu_are_valid_and_the_default_row_is_the_default() -> None:
    for name in AUGMENTATIONS:
        Augmentation.from_config(augmentation(name, (0, 1, 2), (1, 1, 1)))
    assert Augmentation.from_config(augmentation("mist", (0, 1, 2), (1, 1, 3))) == Augmentation()


def test_slices_far_apart_are_turned_in_their_plane_and_lose_none() -> None:
    settings = Augmentation.from_config(augmentation("nnunet", (1, 2), (5.0, 0.7, 0.7)))
    assert (settings.rotation_axes, settings.rotation_range) == ((0,), (-180, 180))
    assert settings.low_resolution_axes == (1, 2)
    assert settings.flip_axes == (1, 2)
    assert Augmentation.from_config(augmentation("nnunet", (), (3.0, 1.0, 1.0))).rotation_axes == (0, 1, 2)


def test_json_round_trip() -> None:
    settings = Augmentation.from_config({"flip_axes": [1, 2], "zoom_range": [0.5, 0.9], "enabled": False})
    text = json.dumps(_as_json(settings))
    assert Augmentation.from_config(json.loads(text)) == settings
    assert settings.flip_axes == (1, 2)
    assert settings.noise_probability == 0.15


def test_all_problems_are_named_at_once_with_the_nearest_key() -> None:
    with pytest.raises(ValueError, match="augmentation: ") as error:
        Augmentation.from_config({"flip_axis": [1], "noise_probability": 1.5, "xyz": 3})
    message = str(error.value)
    assert "'flip_axis' is not a setting, did you mean 'flip_axes'?" in message
    assert "'noise_probability' must be a number from 0 to 1, not 1.5." in message
    assert "'xyz' is not a setting, known: enabled, zoom_probability" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enabled", 1),
        ("flip_probability", "0.5"),
        ("flip_probability", True),
        ("flip_probability", float("nan")),
        ("flip_axes", [3]),
        ("flip_axes", [-1]),
        ("flip_axes", [0, 0]),
        ("flip_axes", [True]),
        ("flip_axes", 1),
        ("zoom_range", [0.7, 1.2]),
        ("zoom_range", [0.0, 1.0]),
        ("zoom_range", [0.9, 0.7]),
        ("zoom_range", [0.7]),
        ("zoom_range", 0.7),
        ("noise_sd_range", [-0.1, 0.3]),
        ("blur_sigma_range", [0.0, 1.0]),
        ("brightness_range", [0.7, float("inf")]),
        ("contrast_range", ["a", "b"]),
        ("contrast_about_mean", 0),
        ("rotation_range", [-190, 0]),
        ("rotation_axes", [0, 3]),
        ("scaling_range", [0, 1]),
        ("low_resolution_range", [0.5, 1.1]),
        ("gamma_range", [0, 2]),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"'{key}'"):
        Augmentation.from_config({key: value})


@pytest.mark.parametrize(
    ("key", "value"), [("flip_axes", []), ("zoom_range", [1, 1]), ("noise_sd_range", [0, 0]), ("zoom_probability", 0)]
)
def test_values_at_the_bounds_are_taken(key: str, value: object) -> None:
    assert _as_json(Augmentation.from_config({key: value}))[key] == value
