"""Grids and patches: what was asked for and no machine can hold is refused."""

from __future__ import annotations

import pytest

from mist_bundle.errors import InputError
from mist_bundle.planning.rules import sliding_windows
from tests.planning.plans import small_plan


def test_a_spacing_that_makes_a_huge_grid_names_the_option_and_the_case() -> None:
    with pytest.raises(InputError, match=r"--target_spacing: makes an image of .* voxels of case"):
        small_plan(target_spacing=(0.001, 0.001, 0.001))


def test_a_spacing_without_resampling_makes_no_grid() -> None:
    assert small_plan(target_spacing=(1.0, 1.0, 1.0)).target_spacing_mm.value == (1.0, 1.0, 1.0)


def test_a_plan_for_a_cpu_has_coarse_voxels_and_few_windows_and_says_why() -> None:
    plan = small_plan(recipe="cpu", shape=(512, 512, 215), spacing_mm=(0.8, 0.8, 2.0))
    assert plan.target_spacing_mm.value == pytest.approx((2.049, 2.049, 2.049), abs=1e-3)
    assert plan.median_resampled_shape.value == (200, 200, 210)
    assert plan.patch_size.value == (128, 128, 128)
    assert plan.overlap.value == 0.25
    assert sliding_windows((200, 200, 210), (128, 128, 128), 0.25) == 8
    assert "which a CPU predicts in seconds" in plan.target_spacing_mm.because
    assert "saves windows" in plan.overlap.because
    by_user = small_plan(recipe="cpu", shape=(512, 512, 215), spacing_mm=(0.8, 0.8, 2.0), target_spacing=(1, 1, 1))
    assert by_user.target_spacing_mm.value == (1.0, 1.0, 1.0)


def test_a_small_image_keeps_its_spacing_by_the_same_recipe() -> None:
    plan = small_plan(recipe="cpu", shape=(36, 50, 36))
    assert plan.target_spacing_mm.value == (1.0, 1.0, 1.0)
    assert plan.target_spacing_mm == small_plan(shape=(36, 50, 36)).target_spacing_mm
