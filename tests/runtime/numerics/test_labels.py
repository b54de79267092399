"""Which stored numbers are labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.runtime.numerics.labels import as_labels, not_labels


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64])
def test_whole_numbers_stay_as_they_are(dtype):
    array = np.array([0, 1, np.iinfo(dtype).max], dtype)
    assert as_labels(array) is array


@pytest.mark.parametrize(
    ("stored", "label"),
    [(2.9999998, 3), (1.0000153, 1), (300 * 1.0000153, 300), (5e8, 500_000_000), (2.0**40 + 1, 2**40 + 1), (-4.0, -4)],
)
def test_what_rounding_left_is_the_label_that_it_obviously_is(stored, label):
    found = as_labels(np.array([0.0, stored]))
    assert found.dtype.kind == "i"
    assert found.tolist() == [0, label]


@pytest.mark.parametrize("value", [0.5, 1.01, 2.002, 1000.2, np.nan, np.inf, 1e19])
def test_what_was_interpolated_is_no_label(value):
    array = np.array([[0.0, 1.0], [value, 2.0]])
    assert as_labels(array) is array
    assert not_labels(array).tolist() == [[False, False], [True, False]]


@given(st.lists(st.integers(-(2**31), 2**31), min_size=1, max_size=30), st.booleans())
def test_every_whole_float_comes_back_exactly_in_either_memory_order(values, fortran):
    array = np.array([values, values[::-1]], dtype=np.float64, order="F" if fortran else "C")
    np.testing.assert_array_equal(as_labels(array), np.array([values, values[::-1]]))


def test_large_volumes_are_read_in_the_order_that_they_lie_in():
    array = np.asfortranarray(np.random.default_rng(0).integers(0, 9, (50, 60, 70)).astype(np.float32))
    found = as_labels(array)
    assert found.flags.f_contiguous
    np.testing.assert_array_equal(found, array)
    array[40, 50, 60] = 2.5
    assert as_labels(array).dtype.kind == "f"
