"""Each rule against the paper's sentence, by hand-computed examples and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data.utils import dense_patch_slices

from mist_bundle.planning import rules
from mist_bundle.planning.decision import Decision


@pytest.mark.parametrize(("reductions", "crop"), [([0.2, 0.2], True), ([0.0, 0.39], False), ([0.5, 0.0], True)])
def test_crop_from_a_mean_reduction_of_a_fifth(reductions: list[float], crop: bool) -> None:
    assert rules.decide_crop(reductions).value is crop


def test_spacing_is_the_median() -> None:
    decision = rules.decide_target_spacing([(1, 1, 1), (1, 2, 1), (2, 1.5, 1)], [(10, 10, 10)] * 3, 1)
    assert decision.value == (1.0, 1.5, 1.0)


def test_coarse_axis_takes_its_tenth_percentile() -> None:
    coarse = [4.0, 5.0, 6.0, 7.0, 8.0]
    decision = rules.decide_target_spacing([(1, 1, z) for z in coarse], [(10, 10, 10)] * 5, 1)
    assert decision.value == (1.0, 1.0, pytest.approx(float(np.percentile(coarse, 10))))
    assert "percentile" in decision.because


@given(
    st.tuples(*[st.floats(0.3, 6)] * 3),
    st.tuples(*[st.integers(8, 700)] * 3),
    st.sampled_from([2**15, 2**20, 2**23]),
)
@settings(max_examples=60, deadline=None)
def test_only_the_finest_axes_are_enlarged_and_no_more_than_needed(
    spacing: tuple[float, float, float], shape: tuple[int, int, int], voxels: int
) -> None:
    start = Decision(spacing, "Median spacing of the cases.")
    enlarged = rules.enlarge_to_voxels(start, [spacing] * 3, [shape] * 3, voxels)
    if np.prod(np.multiply(shape, 1.0)) <= voxels:
        assert enlarged is start
        return
    ratio = np.multiply(shape, spacing) / enlarged.value
    assert np.prod(ratio) == pytest.approx(voxels, rel=1e-4), "the budget is used, and kept"
    finest = min(enlarged.value)
    for before, after in zip(spacing, enlarged.value, strict=True):
        assert after == pytest.approx(max(before, finest), abs=1e-6)
    assert f"at least {finest:.3g} mm" in enlarged.because


def test_a_wide_ct_becomes_two_millimetres_and_thick_slices_stay() -> None:
    fine = Decision((0.8, 0.8, 2.0), "Median.")
    thin = rules.enlarge_to_voxels(fine, [fine.value], [(512, 512, 215)], 2**23)
    assert thin.value == pytest.approx((2.049, 2.049, 2.049), abs=1e-3)
    thick = Decision((0.8, 0.8, 5.0), "Median.")
    assert rules.enlarge_to_voxels(thick, [thick.value], [(512, 512, 86)], 2**23).value[2] == 5.0


def test_ratio_of_exactly_three_is_not_anisotropic() -> None:
    assert rules.decide_target_spacing([(1, 1, 3)] * 4, [(10, 10, 10)] * 4, 1).value == (1.0, 1.0, 3.0)


def test_spacing_grows_by_a_quarter_until_two_gigabytes() -> None:
    shape = (1000, 1000, 1000)  # 4 GB of float32
    decision = rules.decide_target_spacing([(1, 1, 1)], [shape], 1)
    assert decision.value == pytest.approx((1.5625,) * 3), "4 GB, then 2.05 GB, then 1.05 GB"
    assert "2 times" in decision.because
    largest = 4 * np.prod(rules.resampled_shape(shape, (1, 1, 1), decision.value))
    before = 4 * np.prod(rules.resampled_shape(shape, (1, 1, 1), (1.25,) * 3))
    assert largest <= rules.MAX_IMAGE_BYTES < before


def test_channels_count_towards_the_two_gigabytes() -> None:
    shape = (700, 700, 700)
    assert rules.decide_target_spacing([(1, 1, 1)], [shape], 1).value == (1.0, 1.0, 1.0)
    assert rules.decide_target_spacing([(1, 1, 1)], [shape], 4).value > (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("median", "limit", "patch"),
    [
        ((36, 50, 37), (256,) * 3, (32, 32, 32)),
        ((300, 512, 20), (256,) * 3, (256, 256, 16)),
        ((128, 128, 128), (100, 256, 64), (64, 128, 64)),
        ((1, 2, 3), (256,) * 3, (1, 2, 2)),
    ],
)
def test_patch_is_the_largest_power_of_two_within_median_and_limit(
    median: tuple[int, int, int], limit: tuple[int, int, int], patch: tuple[int, int, int]
) -> None:
    assert rules.decide_patch_power_of_two(median, limit).value == patch


@given(st.tuples(*[st.integers(1, 400)] * 3), st.integers(1000, 500_000))
@settings(max_examples=100, deadline=None)
def test_cover_patch_keeps_budget_and_shape(median: tuple[int, int, int], budget: int) -> None:
    patch = rules.decide_patch_cover(median, (256,) * 3, budget).value
    assert np.prod(patch) <= budget or max(patch) == 1
    assert all(1 <= size <= whole for size, whole in zip(patch, median, strict=True))


def test_nonzero_rule_is_the_papers_ratio() -> None:
    # one voxel in five non-zero: a ratio of 0.25
    assert rules.decide_nonzero([0.2], 0.2).value is False
    assert rules.decide_nonzero([0.16], 0.2).value is True
    without = rules.decide_nonzero([1.0, 1.0], 0.2)
    assert (without.value, without.because) == (False, "No image has voxels of zero, so whole images are normalised.")
    assert rules.decide_nonzero([0.1, 1.0], 0.2).because.startswith("Some images have no voxels of zero, ")


def test_nonzero_rule_of_2_3_0_differs_on_purpose() -> None:
    assert rules.decide_nonzero([0.5], 0.2).value is False
    assert rules.decide_nonzero([0.5], None).value is True


def test_class_weights_give_every_class_the_same_share() -> None:
    counts = np.array([900, 90, 10])
    weights = np.array(rules.decide_class_weights(counts.tolist()).value)
    np.testing.assert_allclose(weights * counts, 1000 / 3, rtol=1e-5)


def test_absent_class_weighs_nothing() -> None:
    assert rules.decide_class_weights([10, 0, 10]).value == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(("cases", "batch", "steps"), [(10, 2, 250), (1000, 2, 500), (1001, 2, 501)])
def test_steps_show_every_case_once(cases: int, batch: int, steps: int) -> None:
    assert rules.decide_steps_per_epoch(cases, batch, 250).value == steps


@pytest.mark.parametrize(
    ("shape", "patch"), [((10, 20, 30), (10, 20, 30)), ((8, 8, 8), (16, 16, 16)), ((100, 75, 64), (32, 48, 64))]
)
def test_windows_are_those_that_monai_lays(shape: tuple[int, int, int], patch: tuple[int, int, int]) -> None:
    padded = tuple(max(pair) for pair in zip(shape, patch, strict=True))
    laid = dense_patch_slices(padded, patch, tuple(max(1, int(size * 0.5)) for size in patch), return_slice=False)
    assert rules.sliding_windows(shape, patch, 0.5) == len(laid)


@pytest.mark.parametrize(
    ("windows", "patches", "epochs", "interval"),
    [(0, 500, 1000, 2), (100, 500, 1000, 2), (300, 500, 1000, 2), (301, 500, 1000, 3), (10_000, 500, 50, 50)],
)
def test_validation_takes_at_most_a_tenth_of_the_training(
    windows: int, patches: int, epochs: int, interval: int
) -> None:
    decided = rules.decide_val_interval(Decision(2, "The recipe's."), windows=windows, patches=patches, epochs=epochs)
    assert decided.value == interval
    assert (decided.because == "The recipe's.") == (windows <= 300)
    if interval < epochs:
        assert windows <= 0.1 * interval * 3 * patches
