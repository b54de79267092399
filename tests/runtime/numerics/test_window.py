"""Percentile windows against numpy, and z-scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.runtime.numerics import window
from mist_bundle.runtime.numerics.slabs import slabs
from mist_bundle.runtime.numerics.window import normalize_channel, percentile_window, window_and_normalize
from tests.runtime.memory import numpy_peak


@given(
    st.integers(1, 400),
    st.floats(0, 50),
    st.floats(50, 100),
    st.sampled_from(["float32", "int16", "uint8"]),
    st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_percentiles_are_numpys(size, low, high, dtype, seed):
    values = (np.random.default_rng(seed).normal(size=size) * 40 + 100).astype(dtype)
    expected = np.percentile(values.astype(np.float64), [low, high])
    np.testing.assert_allclose(percentile_window(values, low, high), expected, rtol=1e-6)


def test_nothing_has_no_percentiles():
    with pytest.raises(ValueError, match="empty"):
        percentile_window(np.empty((0, 3)))


def test_a_window_of_the_dataset_is_applied_as_given():
    array = np.array([-2000, -1000, 50, 400, 3000], dtype=np.int16).reshape(1, 5, 1, 1)
    result = window_and_normalize(array, -900, 500, 100, 200)
    np.testing.assert_allclose(result.ravel(), [-5, -5, -0.25, 1.5, 2], rtol=1e-6)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(array.ravel(), [-2000, -1000, 50, 400, 3000])


def test_each_channel_has_its_own_window():
    array = np.ones((2, 2, 2, 2), dtype=np.float32)
    result = window_and_normalize(array, [0, 0], [2, 0.5], [0, 0], [1, 0.25])
    assert set(result[0].ravel()) == {1.0}
    assert set(result[1].ravel()) == {2.0}
    with pytest.raises(ValueError, match="3 window values for 2 channels"):
        window_and_normalize(array, [0, 0, 0], 1, 0, 1)


def test_no_spread_gives_zeros():
    assert not window_and_normalize(np.ones((1, 2, 2, 2)), 0, 1, 0.5, 0).any()
    for value in (0.0, 0.1, -1024.0, 1e6 / 3):
        assert not normalize_channel(np.full((5, 6, 7), value, dtype=np.float32)).any()


@given(st.integers(0, 1000), st.floats(-1000, 1000), st.floats(0.1, 500))
@settings(max_examples=40, deadline=None)
def test_mean_and_deviation_are_taken_after_the_window(seed, centre, width):
    rng = np.random.default_rng(seed)
    image = rng.normal(centre, width, size=(20, 20, 20)).astype(np.float32)
    image.ravel()[:20] = centre + 1000 * width  # what the window is there for
    result = normalize_channel(image)
    clipped = np.clip(image.astype(np.float64), *np.percentile(image.astype(np.float64), [0.5, 99.5]))
    np.testing.assert_allclose(result, (clipped - clipped.mean()) / clipped.std(), atol=2e-3)
    assert abs(float(result.mean(dtype=np.float64))) < 1e-3
    assert abs(float(result.std(dtype=np.float64)) - 1) < 1e-3


def test_a_mask_confines_statistics_and_result():
    rng = np.random.default_rng(0)
    image = rng.normal(500, 50, size=(12, 12, 12)).astype(np.float32)
    mask = np.zeros(image.shape, dtype=np.uint8)
    mask[3:9, 3:9, 3:9] = 1
    image[mask == 0] = 7
    result = normalize_channel(image, mask)
    assert not result[mask == 0].any()
    np.testing.assert_allclose(result[mask == 1], normalize_channel(image[3:9, 3:9, 3:9]).ravel(), atol=1e-5)
    assert not normalize_channel(image, np.zeros_like(mask)).any()


def test_statistics_before_clipping_are_those_of_all_values() -> None:
    values = np.random.default_rng(3).normal(size=(8, 9, 10)).astype(np.float32)
    values[0, 0, 0] = 50
    low, high = np.percentile(values, [0.5, 99.5])
    expected = (np.clip(values, low, high) - values.mean()) / values.std()
    np.testing.assert_allclose(normalize_channel(values, clip_first=False), expected, atol=1e-5)
    assert abs(normalize_channel(values).std() - 1) < 1e-5


def small_slabs(array):
    """A hundred parts of a volume, as a very large one has."""
    return slabs(array, max(1, array.size // 100))


@pytest.mark.parametrize("dtype", ["float32", "int16"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_slab_by_slab_a_volume_is_normalised_as_numpy_does_it_at_once(monkeypatch, dtype, masked, order):
    monkeypatch.setattr(window, "slabs", small_slabs)
    rng = np.random.default_rng(5)
    values = np.asarray(rng.normal(300, 100, (50, 40, 30)).astype(dtype), order=order)
    mask = rng.random(values.shape) < 0.4 if masked else None
    chosen = (values if mask is None else values[mask]).astype(np.float64)
    clipped = np.clip(chosen, *np.percentile(chosen, [0.5, 99.5]))
    expected = (np.clip(values, clipped.min(), clipped.max()) - clipped.mean()) / clipped.std()
    if mask is not None:
        expected = np.where(mask, expected, 0)
    np.testing.assert_allclose(normalize_channel(values, mask), expected, atol=3e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_a_large_volume_is_normalised_with_little_memory_beside_it(masked):
    values = np.random.default_rng(0).normal(size=(400, 200, 200)).astype(np.float32)
    mask = (values > -1).astype(np.uint8) if masked else None
    out = np.empty_like(values)
    peak = numpy_peak(lambda: normalize_channel(values, mask, out=out))
    assert peak < 1.25 * values.nbytes  # a copy to look for percentiles, and slabs


def test_percentiles_of_values_that_may_be_reordered_take_no_copy():
    values = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    expected = np.percentile(values, [0.5, 99.5])
    assert numpy_peak(lambda: percentile_window(values, reorder=True)) < 0.1 * values.nbytes
    np.testing.assert_allclose(percentile_window(values, reorder=True), expected, rtol=1e-6)
