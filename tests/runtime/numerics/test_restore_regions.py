"""Regions that overlap, written back as one label map: what is scored must be what was predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.runtime.numerics import grid
from mist_bundle.runtime.numerics.restore import restore_label_from_regions, restore_scores
from tests.runtime.geometry import ORIENTATIONS, make_affine

BRATS = {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}
WRITES = (2, 1, 4)  # WT its own oedema, TC necrosis, ET itself
ORDER = (0, 1, 2)
GRID = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS, 1 mm


def masks(label: Any) -> Any:
    return np.stack([np.isin(label, members) for members in BRATS.values()]).astype(np.float32)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_what_was_predicted_is_what_is_scored(seed: int) -> None:
    label = np.random.default_rng(seed).integers(0, 5, size=(5, 6, 4))
    restored = restore_label_from_regions(masks(label), GRID, GRID, label.shape, None, WRITES, ORDER)
    np.testing.assert_array_equal(masks(restored), masks(label))
    np.testing.assert_array_equal(restored == 0, label == 0)


def test_later_regions_are_written_over_earlier_ones() -> None:
    scores = np.full((2, 3, 1, 1), 0.9, np.float32)
    scores[1, 2] = 0.4
    write = restore_label_from_regions(scores, GRID, GRID, (3, 1, 1), None, (7, 300), (0, 1))
    assert write[:, 0, 0].tolist() == [300, 300, 7]
    assert write.dtype == np.uint16
    write = restore_label_from_regions(scores, GRID, GRID, (3, 1, 1), None, (7, 300), (1, 0))
    assert write[:, 0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7])
def test_on_another_grid_it_is_what_the_restored_scores_say(orientation: str) -> None:
    affine, shape, box = make_affine(orientation, (0.8, 1.1, 1.7)), (11, 8, 7), ((1, 0, 2), (10, 8, 7))
    cut = np.zeros(shape)[None, 1:10, 0:8, 2:7]
    turned, turned_affine = grid.reorient(cut, grid.cropped_affine(affine, box[0]), "LPS")
    prepared_shape = (12, 9, 10)
    target = [
        own * size / new
        for own, size, new in zip(grid.spacing_of(turned_affine), turned.shape[1:], prepared_shape, strict=True)
    ]
    prepared = grid.resampled_affine(turned_affine, turned.shape[1:], prepared_shape, target)
    scores = np.random.default_rng(3).random((3, *prepared_shape)).astype(np.float32)
    arguments = (prepared, affine, shape, box)
    restored = restore_scores(scores, *arguments, exclusive=False)
    expected = np.zeros(shape, np.uint8)
    for index in (2, 0, 1):
        expected[restored[index] > 0.5] = WRITES[index]
    result = restore_label_from_regions(scores, *arguments, WRITES, (2, 0, 1))
    np.testing.assert_array_equal(result, expected)
    assert len(np.unique(result)) > 2, "else the test shows nothing"
    outside = np.ones(shape, bool)
    outside[1:10, 0:8, 2:7] = False
    assert not restored[:, outside].any(), "there is no region outside of what was prepared"


@pytest.mark.parametrize(("labels", "order"), [((1,), (0, 1)), ((1, 2), (0, 0)), ((1, 2), (0,))])
def test_each_region_has_one_label_and_one_place(labels: tuple[int, ...], order: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="There are 2 regions, but their labels are"):
        restore_label_from_regions(np.zeros((2, 2, 2, 2)), GRID, GRID, (2, 2, 2), None, labels, order)
