"""The foreground box against Otsu's threshold of ITK, and boxes of any form."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.runtime.numerics import crop
from mist_bundle.runtime.numerics.slabs import slabs
from tests.runtime.memory import numpy_peak


def variance_between(values, num_bins, threshold):
    """Otsu's criterion, written down directly: the variance between the bins up to the threshold and those above."""
    counts, edges = np.histogram(values, num_bins)
    centres = (edges[1:] + edges[:-1]) / 2
    below = centres <= threshold + 1e-9
    if not counts[below].any() or not counts[~below].any():
        return 0.0
    means = [np.average(centres[side], weights=counts[side]) for side in (below, ~below)]
    return counts[below].sum() / values.size * counts[~below].sum() / values.size * (means[0] - means[1]) ** 2


def bin_centres(values, num_bins):
    edges = np.histogram_bin_edges(values, num_bins)
    return (edges[1:] + edges[:-1]) / 2


@given(st.integers(0, 10_000), st.floats(0.5, 20), st.floats(0.05, 0.95))
@settings(max_examples=25, deadline=None)
def test_otsu_is_the_best_split_and_that_of_itk(seed, distance, share):
    rng = np.random.default_rng(seed)
    values = np.where(
        rng.random((12, 13, 14)) < share, rng.normal(0, 1, (12, 13, 14)), rng.normal(distance, 1, (12, 13, 14))
    )
    found = crop.otsu_threshold(values)
    centres = bin_centres(values, 256)
    assert np.isclose(centres, found).any()
    # Where bins between the groups are empty, several thresholds are equally good: compare what they achieve.
    best = max(variance_between(values, 256, centre) for centre in centres[:-1])
    assert variance_between(values, 256, found) == pytest.approx(best, rel=1e-9)
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(sitk.GetImageFromArray(values))
    assert best >= variance_between(values, 256, otsu.GetThreshold()) >= 0.995 * best


def test_the_box_holds_everything_at_or_above_the_threshold():
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, size=(40, 50, 30)).astype(np.float32)
    image[8:30, 5:44, 11:25] += 100
    box = crop.foreground_box(image)
    assert box == ((8, 5, 11), (30, 44, 25))
    assert image[crop.box_slices(box)].min() > 50
    assert crop.box_volume_reduction(box, image.shape) == pytest.approx(1 - 22 * 39 * 14 / (40 * 50 * 30))


def test_the_rule_is_clip_then_otsu_then_at_or_above():
    image = np.random.default_rng(5).gamma(1.0, size=(20, 21, 22))
    clipped = np.clip(image, *np.percentile(image, [33, 99.5]))
    centres = bin_centres(clipped, 256)
    threshold = max(centres[:-1], key=lambda centre: variance_between(clipped, 256, centre))
    used = np.argwhere(image >= threshold)
    assert crop.foreground_box(image) == (tuple(used.min(axis=0)), tuple(used.max(axis=0) + 1))


@pytest.mark.parametrize("value", [0, -1000.0, 7])
def test_a_constant_image_is_kept_whole(value):
    assert crop.foreground_box(np.full((4, 5, 6), value)) == ((0, 0, 0), (4, 5, 6))


def test_boxes_from_lists_and_tensors():
    assert crop.as_box([[1, 2, 3], [4, 5, 6]], (9, 9, 9)) == ((1, 2, 3), (4, 5, 6))
    assert crop.as_box(torch.tensor([[1, 2, 3], [4, 5, 6]]), (9, 9, 9)) == ((1, 2, 3), (4, 5, 6))
    assert crop.as_box(None, (9, 8, 7)) == ((0, 0, 0), (9, 8, 7))
    for bad in ([[1, 2, 3], [4, 2, 6]], [[-1, 0, 0], [2, 2, 2]], [[0, 0, 0], [9, 9, 10]]):
        with pytest.raises(ValueError, match="does not lie inside"):
            crop.as_box(bad, (9, 9, 9))
    assert crop.box_volume_reduction(((0, 0, 0), (9, 9, 9)), (9, 9, 9)) == 0


def test_bounding_box_of_nothing_is_none():
    mask = np.zeros((3, 4, 5), dtype=bool)
    assert crop.bounding_box(mask) is None
    mask[1, 3, 2] = True
    assert crop.bounding_box(mask) == ((1, 3, 2), (2, 4, 3))


def test_the_numerics_need_neither_torch_nor_monai_nor_simpleitk():
    modules = ("crop", "distance", "grid", "resample", "restore", "spline", "window")
    code = (
        f"import sys, {', '.join(f'mist_bundle.runtime.numerics.{module}' for module in modules)}\n"
        "heavy = {'torch', 'monai', 'SimpleITK', 'nibabel'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_mask_of_nonzero_voxels_joins_channels_and_fills_holes() -> None:
    image = np.zeros((2, 5, 5, 5))
    image[0, 1:4, 1:4, 1:4] = 1
    image[0, 2, 2, 2] = 0
    image[1, 0, 0, 0] = -3
    mask = crop.nonzero_mask(image)
    assert mask.sum() == 28
    assert mask[2, 2, 2]
    assert mask[0, 0, 0]


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_the_box_of_a_volume_in_slabs_is_that_of_its_float32_copy_at_once(monkeypatch, dtype):
    rng = np.random.default_rng(1)
    image = rng.normal(0, 30, size=(40, 50, 30))
    image[8:30, 5:44, 11:25] += 100
    image = image.astype(dtype)
    expected = crop.foreground_box(image.astype(np.float32))
    monkeypatch.setattr(crop, "slabs", lambda array: slabs(array, 777))
    assert crop.foreground_box(image) == expected
    assert numpy_peak(lambda: crop.foreground_box(image)) < 1.8 * image.nbytes
