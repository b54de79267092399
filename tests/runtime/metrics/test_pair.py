"""The masks of a class, cut to the box around both; what metrics share is computed once."""

from __future__ import annotations

import numpy as np
import pytest

from mist_bundle.runtime.metrics.pair import MaskPair

SPACING_MM = (0.5, 2.0, 3.0)


def masks() -> tuple[np.ndarray, np.ndarray]:
    prediction, reference = np.zeros((9, 8, 7), bool), np.zeros((9, 8, 7), bool)
    prediction[2:5, 1:3, 4:6] = True
    reference[3:7, 1:4, 4:6] = True
    return prediction, reference


def test_masks_are_cut_to_the_box_around_both() -> None:
    pair = MaskPair(*masks(), SPACING_MM)
    assert pair.prediction.shape == pair.reference.shape == (5, 3, 2)
    assert (pair.prediction.sum(), pair.reference.sum()) == (12, 24)


def test_counts_carry_the_volume_of_a_voxel() -> None:
    counts = MaskPair(*masks(), SPACING_MM).counts
    assert (counts.prediction, counts.reference, counts.both) == (12, 24, 8)
    assert counts.voxel_volume_mm3 == pytest.approx(3.0)


def test_distances_and_lesions_are_computed_once() -> None:
    pair = MaskPair(*masks(), SPACING_MM, worst_mm=99.0)
    assert pair.distances is pair.distances
    assert pair.lesions is pair.lesions
    assert pair.lesions.worst_mm == 99.0
    # the reference reaches 2 voxels of 0.5 mm further along X, and 1 voxel of 2 mm along Y
    assert pair.distances.reference.distances_mm.max() == pytest.approx(np.hypot(1.0, 2.0))


def test_empty_masks_have_counts_only() -> None:
    empty = np.zeros((4, 4, 4), bool)
    pair = MaskPair(empty, empty, SPACING_MM)
    assert pair.prediction.size == 0
    assert (pair.counts.prediction, pair.counts.reference) == (0, 0)
    with pytest.raises(ValueError, match="no surface"):
        pair.distances  # noqa: B018
