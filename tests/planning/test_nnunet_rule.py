"""Patch and batch of the residual-encoder presets against what nnU-Net 2.8.1 decides."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.planning.nnunet_rule import (
    PresetRequest,
    decide_preset_batch,
    decide_preset_patch,
    feature_map_values,
    residual_blocks,
)
from mist_bundle.planning.topology import nnunet_topology
from tests.planning.plans import small_plan
from tests.transfer.peers import peer_python

NO_LIMIT = (10_000,) * 3
FILTERS = (32, 64, 128, 256, 320)
SIZES = (20, 36, 50, 64, 128, 192, 240, 300, 512)
RATIOS = (1, 1, 1.1, 2.5, 5, 8)


def preset(
    median: tuple[int, int, int], spacing: tuple[float, float, float], memory_gb: int, num_cases: int
) -> PresetRequest:
    return PresetRequest(
        median_shape=median,
        spacing_mm=spacing,
        max_patch_size=NO_LIMIT,
        filters=FILTERS,
        out_channels=3,
        num_cases=num_cases,
        memory_gb=memory_gb,
    )


# decided by nnunetv2 2.8.1 (nnunet_planner.py)
@pytest.mark.parametrize(
    ("median", "spacing", "memory_gb", "num_cases", "patch", "batch"),
    [
        ((192, 512, 20), (0.8, 0.8, 0.88), 24, 20, (192, 288, 20), 14),
        ((36, 64, 20), (0.8, 4, 0.8), 40, 20, (40, 64, 20), 18),
        ((300, 50, 50), (0.8, 0.8, 4), 8, 20, (320, 56, 56), 3),
        ((64, 50, 64), (0.8, 0.8, 6.4), 24, 100, (64, 56, 64), 38),
        ((36, 50, 35), (1, 1, 1), 8, 260, (40, 56, 40), 58),
        ((320, 320, 20), (0.6, 0.6, 3.6), 24, 32, (320, 320, 20), 5),
        ((140, 171, 137), (1, 1, 1), 40, 484, (160, 192, 160), 6),
        ((512, 512, 200), (0.8, 0.8, 2.5), 24, 131, (224, 256, 96), 2),
    ],
)
def test_patch_and_batch_are_nnunets(
    median: tuple[int, int, int],
    spacing: tuple[float, float, float],
    memory_gb: int,
    num_cases: int,
    patch: tuple[int, int, int],
    batch: int,
) -> None:
    request = preset(median, spacing, memory_gb, num_cases)
    assert decide_preset_patch(request, 2).value == patch
    assert decide_preset_batch(patch, request).value == batch


@pytest.mark.slow
def test_every_decision_is_nnunets_own(tmp_path: Path) -> None:
    python = peer_python("nnunet", "nnunetv2")
    draw = random.Random(5)
    requests: list[dict[str, Any]] = []
    for _ in range(60):
        spacing = [0.8, 0.8, 0.8]
        spacing[draw.randrange(3)] *= draw.choice(RATIOS)
        requests.append(
            {
                "median_shape": [draw.choice(SIZES) for _ in range(3)],
                "spacing_mm": spacing,
                "memory_gb": draw.choice((8, 24, 40)),
                "num_cases": draw.choice((20, 100, 260)),
            }
        )
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    script = Path(__file__).with_name("nnunet_planner.py")
    subprocess.run([python, script, tmp_path / "requests.json", tmp_path / "answers.json"], check=True)
    for row, answer in zip(requests, json.loads((tmp_path / "answers.json").read_text()), strict=True):
        request = preset(tuple(row["median_shape"]), tuple(row["spacing_mm"]), row["memory_gb"], row["num_cases"])
        patch = decide_preset_patch(request, 2).value
        topology = nnunet_topology(patch, row["spacing_mm"])
        own = {
            "patch_size": list(patch),
            "batch_size": decide_preset_batch(patch, request).value,
            "strides": [list(stride) for stride in topology.strides],
            "kernels": [list(kernel) for kernel in topology.kernels],
        }
        assert own == answer, row


def test_more_patches_at_once_are_smaller_and_the_limit_holds() -> None:
    request = preset((300, 300, 300), (1, 1, 1), 24, 100)
    two, eight = decide_preset_patch(request, 2), decide_preset_patch(request, 8)
    assert max(eight.value) < max(two.value)
    assert "as much as 24 GB hold" in two.because
    limited = PresetRequest(
        median_shape=(300, 300, 300),
        spacing_mm=(1, 1, 1),
        max_patch_size=(64, 96, 128),
        filters=FILTERS,
        out_channels=3,
        num_cases=100,
        memory_gb=24,
    )
    assert decide_preset_patch(limited, 2).value == (64, 96, 128)


def test_an_image_of_few_voxels_has_a_patch() -> None:
    request = preset((1, 3, 5), (1, 1, 1), 8, 1)
    patch = decide_preset_patch(request, 2).value
    assert all(size >= whole for size, whole in zip(patch, (1, 3, 5), strict=True))
    assert decide_preset_batch(patch, request).value == 2


def test_feature_maps_by_hand() -> None:
    """Three levels, counted as in the docstring."""
    topology = nnunet_topology((16, 16, 16), (1, 1, 1))  # strides 1, 2, 2
    values = feature_map_values((16, 16, 16), topology, (4, 8, 8), 2)
    stem, last = 4 * 16**3, 2 * 16**3
    first = (2 * 1 + 2) * 4 * 16**3
    second = (2 * 3 + 1 + 2) * 8 * 8**3
    bottom = (2 * 4 + 1) * 8 * 4**3
    assert values == stem + first + second + bottom + last


def test_deeper_levels_have_six_blocks() -> None:
    assert residual_blocks(2) == [1, 3]
    assert residual_blocks(8) == [1, 3, 4, 6, 6, 6, 6, 6]


def test_a_plan_of_a_preset_has_nnunets_patch_and_batch() -> None:
    """For hippocampi of 36 x 50 x 35 voxels nnU-Net takes the whole image."""
    plan = small_plan(shape=(36, 50, 35), recipe="best")
    assert plan.patch_size.value == (40, 56, 40)
    assert plan.batch_size.value == 2  # of two cases
    assert "nnU-Net's rule" in plan.batch_size.because
    assert small_plan(shape=(36, 50, 35), recipe="best", batch_size=5).batch_size.value == 5
    assert small_plan(recipe="brats2024", network="resenc-m").batch_size.value == 32
