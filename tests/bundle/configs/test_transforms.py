"""The order of the transforms, and that training and inference see the same images."""

from __future__ import annotations

from typing import Any

import pytest

from mist_bundle.bundle.configs.transforms import deterministic_transforms, restore_and_save
from tests.planning.plans import small_plan


def _names(steps: list[dict[str, Any]]) -> list[str]:
    return [step["_target_"].rpartition(".")[2] for step in steps]


def test_images_are_loaded_cropped_oriented_resampled_and_normalised_in_this_order() -> None:
    plan = small_plan(bias_correction=True)
    names = _names(deterministic_transforms(plan, with_label=True))
    assert names == [
        "LoadImaged",
        "LoadImaged",
        "EnsureChannelFirstd",
        "ToGridOfd",
        "LabelsToIndicesd",
        "BiasCorrectiond",
        "ReorientToLPSd",
        "ResampleToSpacingd",
        "WindowNormalized",
    ]


@pytest.mark.parametrize("options", [{}, {"bias_correction": True}, {"skip_preprocessing": True}])
def test_training_and_inference_change_images_alike(options: dict[str, Any]) -> None:
    plan = small_plan(**options)
    of_label = {"ToGridOfd", "LabelsToIndicesd"}
    training = [name for name in _names(deterministic_transforms(plan, with_label=True)) if name not in of_label]
    inference = [name for name in _names(deterministic_transforms(plan, with_label=False)) if name != "CheckImaged"]
    assert training[1:] == inference  # without the loading of the label


def test_nothing_is_prepared_without_preprocessing() -> None:
    names = _names(deterministic_transforms(small_plan(skip_preprocessing=True), with_label=False))
    assert names == ["LoadImaged", "EnsureChannelFirstd", "CheckImaged"]


def test_distance_maps_come_last_and_in_training_only() -> None:
    plan = small_plan(loss="boundary", distance_maps_in_mm=True)
    last = deterministic_transforms(plan, with_label=True)[-1]
    assert last["_target_"].endswith("DistanceMapsd")
    assert last["use_spacing"] is True
    assert "DistanceMapsd" not in _names(deterministic_transforms(plan, with_label=False))


def test_the_label_map_is_written_last() -> None:
    steps = restore_and_save(small_plan(), postprocess=True)
    assert steps[-1]["keys"] == "pred"
    assert "_disabled_" not in steps[-1]
    assert "ApplyPostprocessingd" in _names(steps)
    assert "ApplyPostprocessingd" not in _names(restore_and_save(small_plan()))
