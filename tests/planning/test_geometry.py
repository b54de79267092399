"""Grids and patches: what was asked for and no machine can hold is refused."""

from __future__ import annotations

import pytest

from mist_bundle.errors import InputError
from tests.planning.plans import small_plan


def test_a_spacing_that_makes_a_huge_grid_names_the_option_and_the_case() -> None:
    with pytest.raises(InputError, match=r"--target_spacing: makes an image of .* voxels of case"):
        small_plan(target_spacing=(0.001, 0.001, 0.001))


def test_a_spacing_without_resampling_makes_no_grid() -> None:
    assert small_plan(target_spacing=(1.0, 1.0, 1.0)).target_spacing_mm.value == (1.0, 1.0, 1.0)
