"""The patch rule of mist-medical 2.3.0 against patches that its own code chose."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.planning.patch_budget import decide_patch_budget
from mist_bundle.planning.topology import unet_topology

BUDGET = 128**3
NO_LIMIT = (10_000,) * 3


@pytest.mark.parametrize(
    ("median", "spacing", "patch"),
    [
        ((512, 512, 12), (0.7, 0.7, 5), (512, 512, 8)),
        ((150, 150, 30), (0.8, 0.8, 5), (128, 128, 28)),
        ((200, 200, 200), (1, 1, 1), (128, 128, 128)),
        ((36, 50, 37), (1, 1, 1), (32, 32, 32)),
    ],
)
def test_equals_what_2_3_0_chose(
    median: tuple[int, int, int], spacing: tuple[float, float, float], patch: tuple[int, int, int]
) -> None:
    assert decide_patch_budget(median, spacing, NO_LIMIT, BUDGET, 2).value == patch


def test_no_edge_beyond_the_image() -> None:
    # 2.3.0: 32 x 192 x 192, more than the image has on X
    assert decide_patch_budget((20, 200, 200), (1, 1, 1), NO_LIMIT, BUDGET, 2).value == (20, 192, 192)


def test_larger_batches_and_limits_make_smaller_patches() -> None:
    small = decide_patch_budget((300, 300, 300), (1, 1, 1), NO_LIMIT, BUDGET, 16)
    assert small.value == (64, 64, 64)
    assert "262144 voxels (for a batch of 16)" in small.because
    assert decide_patch_budget((300, 300, 300), (1, 1, 1), (256, 48, 256), BUDGET, 2).value == (128, 48, 128)


@given(
    st.tuples(*[st.integers(1, 600)] * 3), st.tuples(*[st.floats(0.3, 8.0)] * 3), st.integers(1, 8), st.integers(15, 22)
)
@settings(max_examples=200, deadline=None)
def test_budget_image_and_strides_are_kept(
    median: tuple[int, int, int], spacing: tuple[float, float, float], batch: int, exponent: int
) -> None:
    patch = decide_patch_budget(median, spacing, NO_LIMIT, 2**exponent, batch).value
    assert all(1 <= size <= whole for size, whole in zip(patch, median, strict=True))
    coarse = max(range(3), key=lambda axis: spacing[axis])
    quasi_2d = spacing[coarse] / min(spacing) > 3
    if quasi_2d:
        assert patch[coarse] % unet_topology(patch, spacing).divisor[coarse] == 0 or patch[coarse] == median[coarse]
    # rounding and the least edges of the rule aside
    assert prod(patch) <= 2.2 * 2**exponent * 2 / batch or min(patch) < 8
