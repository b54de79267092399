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


def brute_force_otsu(values, num_bins):
    """The bin centre that maximises the variance between the two groups, each split tried in turn."""
    counts, edges = np.histogram(values, num_bins)
    centres = (edges[1:] + edges[:-1]) / 2
    scores = []
    for split in range(1, num_bins):
        below, above = counts[:split].sum(), counts[split:].sum()
        mean_below = (counts[:split] * centres[:split]).sum() / below
        mean_above = (counts[split:] * centres[split:]).sum() / above
        scores.append(below * above * (mean_below - mean_above) ** 2)
    return centres[int(np.argmax(scores))]


@given(st.integers(0, 10_000), st.floats(0.5, 20), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_otsu_is_the_best_split_and_that_of_itk(seed, distance, share):
    rng = np.random.default_rng(seed)
    values = np.where(
        rng.random((12, 13, 14)) < share, rng.normal(0, 1, (12, 13, 14)), rng.normal(distance, 1, (12, 13, 14))
    )
    found = crop.otsu_threshold(values)
    assert found == pytest.approx(brute_force_otsu(values, 256))
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(sitk.GetImageFromArray(values))
    # ITK answers with an edge of a bin, scikit-image and we with the centre; flat optima may lie a few bins apart.
    assert abs(found - otsu.GetThreshold()) <= 6 * np.ptp(values) / 256


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
    used = np.argwhere(image >= brute_force_otsu(clipped, 256))
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


@pytest.mark.parametrize("module", ["crop", "distance", "grid", "resample", "restore", "spline", "window"])
def test_the_numerics_need_neither_torch_nor_monai_nor_simpleitk(module):
    code = (
        f"import sys, mist_bundle.runtime.numerics.{module}\n"
        "heavy = {'torch', 'monai', 'SimpleITK', 'nibabel'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
