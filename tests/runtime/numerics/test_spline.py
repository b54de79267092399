"""Interpolation matrices against scipy and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mist_bundle.runtime.numerics import spline

lengths = st.integers(1, 40)
fractions = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(lengths, fractions, st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_cubic_matrix_gives_scipys_spline(length, where, seed):
    signal = np.random.default_rng(seed).normal(size=length)
    coordinates = np.array(where) * (length - 1)
    expected = (
        ndimage.map_coordinates(signal, coordinates[None], order=3, mode="mirror")
        if length > 1
        else np.full(len(where), signal[0])
    )
    np.testing.assert_allclose(spline.cubic_matrix(length, coordinates) @ signal, expected, atol=2e-6)


@given(lengths, st.lists(st.floats(-50, 90), min_size=1, max_size=30), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_linear_matrix_gives_numpys_interpolation_and_replicates_edges(length, coordinates, seed):
    signal = np.random.default_rng(seed).normal(size=length)
    expected = np.interp(coordinates, np.arange(length), signal)
    np.testing.assert_allclose(spline.linear_matrix(length, np.array(coordinates)) @ signal, expected, atol=2e-6)


@pytest.mark.parametrize("make", [spline.cubic_matrix, spline.linear_matrix])
@pytest.mark.parametrize("length", [1, 2, 3, 17, 200])
def test_interpolation_at_the_voxels_gives_the_voxels_and_keeps_constants(make, length):
    np.testing.assert_allclose(make(length, np.arange(length)), np.eye(length), atol=1e-7)
    rows = make(length, np.linspace(-3, length + 3, 77)).astype(np.float64).sum(axis=1)
    np.testing.assert_allclose(rows, 1, atol=1e-6)


def test_nearest_takes_halves_up_and_stays_inside():
    found = spline.nearest_indices(4, np.array([-2, 0.49, 0.5, 1.5 - 1e-12, 2.4, 9]))
    assert found.tolist() == [0, 0, 1, 2, 2, 3]


@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.sampled_from(["keep", "take", "matrix"])] * 3),
    st.permutations(range(3)),
    st.integers(0, 1000),
)
@settings(max_examples=100, deadline=None)
def test_apply_separable_is_three_products_whatever_the_memory_layout(shape, kinds, layout, seed):
    rng = np.random.default_rng(seed)
    stored = rng.normal(size=tuple(shape[axis] for axis in layout)).astype(np.float32)
    array = stored.transpose(np.argsort(layout))[:, ::-1]
    operators, dense = [], []
    for length, kind in zip(array.shape, kinds, strict=True):
        matrix = rng.normal(size=(rng.integers(1, 12), length)).astype(np.float32)
        indices = np.sort(rng.integers(0, length, size=rng.integers(1, 12)))
        operators.append({"keep": None, "take": indices, "matrix": matrix}[kind])
        dense.append({"keep": np.eye(length), "take": np.eye(length)[indices], "matrix": matrix}[kind])
    expected = np.einsum("ijk,ai,bj,ck->abc", array.astype(np.float64), *dense)
    np.testing.assert_allclose(spline.apply_separable(array, operators), expected, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_long_axes_worked_on_in_blocks_give_the_whole_product(axis):
    shape = [3, 4, 5]
    shape[axis] = 700
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    matrix = spline.cubic_matrix(700, np.linspace(0, 699, 431))
    operators = [matrix if k == axis else None for k in range(3)]
    expected = np.moveaxis(np.tensordot(matrix.astype(np.float64), array, axes=(1, axis)), 0, axis)
    np.testing.assert_allclose(spline.apply_separable(array, operators), expected, atol=2e-6)


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_restrict_computes_the_same_from_the_box_alone(seed, backwards):
    rng = np.random.default_rng(seed)
    shape = (7, 8, 9)
    start = [int(rng.integers(0, length)) for length in shape]
    box = tuple(slice(first, int(rng.integers(first, length)) + 1) for first, length in zip(start, shape, strict=True))
    array = np.zeros(shape, dtype=np.float32)
    array[box] = rng.normal(size=array[box].shape)
    taken = np.sort(rng.integers(0, 8, size=5))
    operators = [spline.linear_matrix(7, np.linspace(0, 6, 11)), taken[::-1] if backwards else taken, None]
    whole = spline.apply_separable(array, operators)
    part = spline.restrict(operators, box, shape)
    if part is None:
        assert not whole.any()
        return
    rebuilt = np.zeros_like(whole)
    rebuilt[part[0]] = spline.apply_separable(array[box], part[1])
    np.testing.assert_allclose(rebuilt, whole, atol=1e-6)


def test_splines_between_edges_are_those_of_scipys_zoom() -> None:
    values = np.random.default_rng(4).normal(size=9)
    coordinates = (np.arange(14) + 0.5) * 9 / 14 - 0.5
    expected = ndimage.zoom(values, 14 / 9, order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(spline.cubic_matrix_between_edges(9, coordinates) @ values, expected, atol=1e-5)
