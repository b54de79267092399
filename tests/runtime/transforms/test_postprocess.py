"""Post-processing inside an inference: the steps of the bundle's file, on the grid of the patient's image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.transforms.postprocess import ApplyPostprocessingd

KEEP_LARGEST = [{"transform": "keep_top_k_components", "kwargs": {"k": 1}}]
SMALLER_THAN_10_MM3 = [{"transform": "remove_small_objects", "kwargs": {"min_size": 10, "unit": "mm3"}}]


def two_objects() -> np.ndarray:
    label = np.zeros((1, 9, 9, 9), np.uint8)
    label[0, 1:4, 1:4, 1:4] = 1
    label[0, 6:8, 6:8, 6:8] = 1
    return label


def volume(spacing: float = 1.0) -> MetaTensor:
    return MetaTensor(torch.from_numpy(two_objects()), affine=torch.eye(4, dtype=torch.float64) * spacing)


def test_the_steps_of_the_file_are_applied(tmp_path: Path) -> None:
    path = tmp_path / "postprocessing.json"
    path.write_text(json.dumps({"strategy": KEEP_LARGEST}))
    result = ApplyPostprocessingd(strategy_path=str(path))({"pred": volume(), "id": "a"})
    assert result["id"] == "a"
    assert int(result["pred"].sum()) == 27
    assert result["pred"].dtype == torch.uint8
    torch.testing.assert_close(result["pred"].affine, volume().affine)


@pytest.mark.parametrize(("spacing", "voxels"), [(1.0, 27), (1.2, 27 + 8)])
def test_sizes_are_those_of_the_patient(spacing: float, voxels: int) -> None:
    transform = ApplyPostprocessingd(strategy=SMALLER_THAN_10_MM3)
    assert int(transform({"pred": volume(spacing)})["pred"].sum()) == voxels  # 8 voxels are 8 or 13.8 mm³


def test_arrays_stay_arrays_and_the_input_stays_as_it_is() -> None:
    label = two_objects()
    result = ApplyPostprocessingd(strategy=KEEP_LARGEST)({"pred": label})["pred"]
    assert isinstance(result, np.ndarray)
    assert (int(result.sum()), int(label.sum())) == (27, 35)


@pytest.mark.parametrize("strategy", [[], [{"transform": "remove_small_objects", "kwargs": {"min_size": 2}}]])
def test_what_no_step_changes_is_handed_on(strategy: list[dict[str, Any]]) -> None:
    before = volume()
    assert ApplyPostprocessingd(strategy=strategy)({"pred": before})["pred"] is before


def test_values_may_need_a_larger_type() -> None:
    strategy = [
        {"transform": "replace_small_objects_with_label", "kwargs": {"replacement": 300, "min_size": 10}},
    ]
    result = ApplyPostprocessingd(strategy=strategy)({"pred": volume()})["pred"]
    assert sorted(np.unique(result.numpy()).tolist()) == [0, 1, 300]


@pytest.mark.parametrize("arguments", [{}, {"strategy": [], "strategy_path": "x.json"}])
def test_either_a_file_or_steps(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either strategy_path or strategy"):
        ApplyPostprocessingd(**arguments)
