from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mist_bundle.analysis.histogram import Histogram, Moments, add_moments

_WHOLE = arrays.arrays(np.int32, st.integers(1, 60), elements=st.integers(-1024, 3071))
_FLOATS = arrays.arrays(
    np.float32, st.integers(1, 60), elements=st.floats(-1000, 1000, width=32, allow_subnormal=False)
)


@given(first=_FLOATS, second=_FLOATS)
def test_moments_add_up(first, second):
    together = Moments.of(first) + Moments.of(second)
    values = np.concatenate([first, second]).astype(np.float64)
    assert together.count == values.size
    assert together.mean == pytest.approx(values.mean(), rel=1e-9, abs=1e-6)
    assert together.std == pytest.approx(values.std(), rel=1e-6, abs=1e-3)


def test_moments_of_nothing():
    nothing = Moments.of(np.array([]))
    assert (nothing.count, nothing.std) == (0, 0.0)
    something = Moments.of(np.array([1.0, 3.0]))
    assert nothing + something == something + nothing == something
    assert add_moments([]) == nothing
    assert add_moments([something] * 3).count == 6


@given(values=_WHOLE, percent=st.floats(0, 100))
def test_percentiles_of_whole_numbers_are_numpys(values, percent):
    histogram = Histogram.of(values, max_bins=1 << 16)
    assert histogram.exact
    assert histogram.total == values.size
    assert histogram.percentile(percent) == pytest.approx(np.percentile(values, percent), abs=1e-6)


@given(values=_FLOATS, percent=st.floats(0, 100), max_bins=st.sampled_from([16, 1024, 1 << 16]))
def test_percentiles_of_other_numbers_are_within_a_bin(values, percent, max_bins):
    histogram = Histogram.of(values, max_bins)
    assert histogram.total == values.size
    assert len(histogram.counts) <= min(max_bins, 4096) + 1
    assert abs(histogram.percentile(percent) - np.percentile(values.astype(np.float64), percent)) <= histogram.step


@given(first=_FLOATS, second=_FLOATS, third=_WHOLE)
@example(first=np.zeros(1, np.float32), second=np.float32([1.2e-38, -1.2e-38]), third=np.zeros(1, np.int32))
def test_the_sum_is_the_histogram_of_all_values_in_the_coarsest_bins(first, second, third):
    parts = [Histogram.of(values, 64) for values in (first, second, third.astype(np.float32))]
    total = Histogram.sum(parts)
    step = max(part.step for part in parts)
    assert total.step == step
    bins = np.floor(np.concatenate([first, second, third.astype(np.float32)]).astype(np.float64) / step).astype(int)
    assert total.first == bins.min()
    assert total.counts == tuple(np.bincount(bins - bins.min()).tolist())
    assert Histogram.sum(reversed(parts)) == total
    assert (parts[0] + parts[1]) + parts[2] == total


@given(first=_WHOLE, second=_WHOLE)
def test_exact_histograms_add_up_to_exact_ones(first, second):
    total = Histogram.of(first, 1 << 16) + Histogram.of(second, 1 << 16)
    assert total == Histogram.of(np.concatenate([first, second]), 1 << 16)


def test_folding_whole_numbers_is_no_longer_exact():
    total = Histogram.of(np.arange(10), 1024) + Histogram.of(np.arange(5000), 1024)
    assert total.step == 8
    assert not total.exact
    assert total.total == 5010


def test_a_constant():
    for value in (0.0, 7.0, -0.3, 1e-12, 1e12):
        histogram = Histogram.of(np.full(5, value))
        assert histogram.total == 5
        assert histogram.percentile(50) == pytest.approx(value, rel=2e-6, abs=1e-9)


def test_nothing():
    empty = Histogram.of(np.array([]))
    assert empty.total == 0
    assert Histogram.sum([]) == empty
    assert Histogram.sum([empty, Histogram.of(np.array([1, 2]))]) == Histogram.of(np.array([1, 2]))
    assert empty.clipped_moments(0, 1) == Moments()
    with pytest.raises(ValueError, match="empty"):
        empty.percentile(50)


@given(values=_WHOLE)
def test_moments_after_clipping(values):
    low, high = np.percentile(values, [5, 95])
    moments = Histogram.of(values, 1 << 16).clipped_moments(low, high)
    clipped = np.clip(values.astype(np.float64), low, high)
    assert moments.count == values.size
    assert moments.mean == pytest.approx(clipped.mean(), abs=1e-9)
    assert moments.std == pytest.approx(clipped.std(), abs=1e-6)


@given(values=st.one_of(_WHOLE, _FLOATS))
def test_json(values):
    histogram = Histogram.of(values, 1 << 16)
    content = json.loads(json.dumps(histogram.to_json()))
    assert Histogram.from_json(content) == histogram


def test_json_writes_gaps_short():
    assert Histogram.of(np.array([0, 0, 1000])).to_json()["counts"] == "2 0*999 1"
