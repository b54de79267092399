"""Resampling against SimpleITK and scipy."""

from __future__ import annotations

import time

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.runtime.numerics import grid
from mist_bundle.runtime.numerics.resample import coarse_axis, resample_image, resample_label, resample_nearest
from tests.runtime.geometry import two_organs

EVEN = [
    ((1, 1, 1), (0.7, 0.8, 0.9)),
    ((1.2, 0.8, 1.5), (1, 1, 1)),
    ((0.8, 0.8, 2.0), (1.5, 1.5, 1.5)),
    ((1, 1, 1), (1, 2, 1)),
]


def itk_resample(array, spacing, target, interpolator, size=None):
    """SimpleITK on the grid that keeps the field of view's centre; edges replicate. `array` is (X, Y, Z)."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing([float(value) for value in spacing])
    size = size or [max(1, int(n * s / t + 0.5 + 1e-9)) for n, s, t in zip(array.shape, spacing, target, strict=True)]
    origin = [(n - 1) / 2 * s - (m - 1) / 2 * t for n, s, m, t in zip(array.shape, spacing, size, target, strict=True)]
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(size)
    resampler.SetOutputSpacing([float(value) for value in target])
    resampler.SetOutputOrigin(origin)
    resampler.SetInterpolator(interpolator)
    resampler.SetUseNearestNeighborExtrapolator(True)
    return sitk.GetArrayFromImage(resampler.Execute(image)).T


def interior(shape, new_shape, spacing, target):
    """Which voxels of the result lie between the outermost voxel centres of the source."""
    axes = []
    for axis in range(3):
        step, start = grid.axis_map(shape[axis], new_shape[axis], spacing[axis], target[axis])
        position = start + step * np.arange(new_shape[axis])
        axes.append((position >= 0) & (position <= shape[axis] - 1))
    return np.ix_(*axes)


@pytest.mark.parametrize(("spacing", "target"), EVEN)
def test_images_equal_sitk_bspline(spacing, target):
    array = np.random.default_rng(0).normal(100, 30, size=(2, 33, 28, 21)).astype(np.float32)
    result = resample_image(array, spacing, target)
    for channel, source in zip(result, array, strict=True):
        expected = np.clip(itk_resample(source, spacing, target, sitk.sitkBSpline), source.min(), source.max())
        assert channel.shape == expected.shape
        inside = interior(source.shape, channel.shape, spacing, target)
        assert np.abs(channel[inside] - expected[inside]).max() <= 1e-5 * np.ptp(source)


def test_images_stay_within_the_range_of_each_channel():
    box = np.zeros((2, 20, 20, 20), dtype=np.float32)
    box[0, 5:15, 5:15, 5:15] = 100
    box[1, 5:15, 5:15, 5:15] = -3
    result = resample_image(box, (1, 1, 1), (0.6, 0.6, 0.6))
    assert (result[0].min(), result[0].max()) == (0, 100)
    assert (result[1].min(), result[1].max()) == (-3, 0)


@given(st.tuples(*[st.floats(0.5, 6)] * 3), st.tuples(*[st.floats(0.5, 6)] * 3), st.tuples(*[st.integers(1, 12)] * 3))
@settings(max_examples=60, deadline=None)
def test_a_constant_image_stays_constant_to_the_last_slice(spacing, target, shape):
    result = resample_image(np.full((1, *shape), -1000.0, dtype=np.float32), spacing, target)
    assert (result == -1000).all()
    label = resample_label(np.full(shape, 3, dtype=np.uint8), spacing, target, 4)
    assert label.shape == result.shape[1:]
    assert (label == 3).all()


def test_beyond_the_outermost_centres_the_edge_voxel_counts():
    ramp = np.broadcast_to(np.arange(6, dtype=np.float32)[:, None, None], (6, 2, 2)).copy()
    result = resample_image(ramp[None], (5, 5, 5), (1, 5, 5))[0, :, 0, 0]
    np.testing.assert_allclose(result[:3], 0, atol=1e-5)
    np.testing.assert_allclose(result[-3:], 5, atol=1e-5)
    assert (np.diff(result) >= 0).all()


def test_the_coarse_axis_takes_the_nearest_slice_first():
    spacing, target = (1.0, 1.2, 5.0), (1.0, 1.0, 2.0)
    assert coarse_axis(spacing) == 2
    assert coarse_axis((1, 1, 3)) is None
    source = np.random.default_rng(1).normal(size=(15, 18, 7)).astype(np.float32)
    between = itk_resample(source, spacing, (1.0, 1.2, 2.0), sitk.sitkNearestNeighbor)
    expected = itk_resample(between, (1.0, 1.2, 2.0), target, sitk.sitkBSpline, size=(15, 22, between.shape[2]))
    result = resample_image(source[None], spacing, target)[0]
    inside = interior(source.shape, result.shape, spacing, target)
    expected = np.clip(expected, source.min(), source.max())
    np.testing.assert_allclose(result[inside], expected[inside], atol=1e-5)


def test_equal_spacing_hands_the_very_same_values_on():
    image = np.random.default_rng(0).normal(size=(1, 4, 5, 6)).astype(np.float32)
    label = np.random.default_rng(0).integers(0, 3, size=(4, 5, 6)).astype(np.int16)
    noisy = (1 + 2e-7, 2, 3)
    np.testing.assert_array_equal(resample_image(image, noisy, (1, 2, 3)), image)
    np.testing.assert_array_equal(resample_label(label, noisy, (1, 2, 3), 3), label)
    np.testing.assert_array_equal(resample_nearest(image, noisy, (1, 2, 3)), image)


def test_resampling_commutes_with_flipping():
    image = np.random.default_rng(0).normal(size=(1, 13, 14, 15)).astype(np.float32)
    there = resample_image(image, (1, 1, 1), (1.3, 0.6, 0.9))
    back = resample_image(image[:, ::-1, :, ::-1], (1, 1, 1), (1.3, 0.6, 0.9))[:, ::-1, :, ::-1]
    np.testing.assert_allclose(there, back, atol=1e-5)


@pytest.mark.parametrize(("spacing", "target"), EVEN)
def test_labels_equal_the_arg_max_of_sitk_linear_maps(spacing, target):
    label = two_organs((24, 30, 26))
    result = resample_label(label, spacing, target, 3)
    maps = np.stack([itk_resample((label == k).astype(np.float64), spacing, target, sitk.sitkLinear) for k in range(3)])
    ordered = np.sort(maps, axis=0)
    clear = ordered[-1] - ordered[-2] > 1e-4
    inside = np.zeros(clear.shape, dtype=bool)
    inside[interior(label.shape, clear.shape, spacing, target)] = True
    clear &= inside
    assert clear.mean() > 0.7
    np.testing.assert_array_equal(result[clear], maps.argmax(axis=0)[clear])
    assert result.dtype == label.dtype


def test_a_hundred_classes_come_through_one_by_one():
    label = np.random.default_rng(3).integers(0, 100, size=(9, 8, 7)).astype(np.uint8)
    fine = resample_label(np.kron(label, np.ones((3, 3, 3), dtype=np.uint8)), (1, 1, 1), (3, 3, 3), 100)
    np.testing.assert_array_equal(fine, label)


def test_equal_shares_go_to_the_lower_index():
    label = np.array([1, 2, 2, 1, 0, 3, 3, 0], dtype=np.uint8).reshape(8, 1, 1)
    assert resample_label(label, (1, 1, 1), (2, 1, 1), 4).ravel().tolist() == [1, 1, 0, 0]
    # 0.3 is not a binary fraction: the tie is one in spite of rounding.
    assert resample_label(label, (0.3, 1, 1), (0.6, 1, 1), 4).ravel().tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    "bad", [np.full((2, 2, 2), 3, np.int16), np.full((2, 2, 2), -1, np.int16), np.zeros((2, 2, 2))]
)
def test_what_is_no_class_index_is_refused(bad):
    with pytest.raises(ValueError, match=r"0 \.\.\. 2|integer"):
        resample_label(bad, (1, 1, 1), (2, 2, 2), 3)


def test_nearest_equals_sitk_and_keeps_the_share_of_nonzero_voxels():
    spacing, target = (1.2, 1.2, 1.2), (1.0, 1.0, 1.0)
    mask = np.zeros((1, 40, 40, 40), dtype=np.uint8)
    mask[:, 10:30, 10:30, 10:30] = 1
    result = resample_nearest(mask, spacing, target)
    expected = itk_resample(mask[0], spacing, target, sitk.sitkNearestNeighbor)
    inside = interior(mask.shape[1:], result.shape[1:], spacing, target)
    np.testing.assert_array_equal(result[0][inside], expected[inside])
    assert result.dtype == np.uint8
    assert abs(result.mean() - mask.mean()) < 0.01


@pytest.mark.slow
def test_the_spline_is_several_times_faster_than_sitk():
    array = np.random.default_rng(0).normal(size=(1, 200, 200, 120)).astype(np.float32)
    ours, theirs = [], []
    for _ in range(3):
        start = time.perf_counter()
        resample_image(array, (1, 1, 1.2), (1.3, 1.3, 1.3))
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        itk_resample(array[0], (1, 1, 1.2), (1.3, 1.3, 1.3), sitk.sitkBSpline)
        theirs.append(time.perf_counter() - start)
    assert min(theirs) > 2 * min(ours)


def test_splines_may_overshoot_where_nothing_is_clipped() -> None:
    step = np.zeros((1, 12, 4, 4), np.float32)
    step[:, 6:] = 100
    spacings = (1.0, 1.0, 1.0), (0.7, 1.0, 1.0)
    overshooting = resample_image(step, *spacings, clip=False)
    assert overshooting.min() < -1
    assert overshooting.max() > 101
    np.testing.assert_allclose(np.clip(overshooting, 0, 100), resample_image(step, *spacings), atol=1e-4)
