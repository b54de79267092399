"""Opening, closing and filling of holes against SimpleITK, and that no structure is ever erased."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from mist_bundle.runtime.postprocessing.morphology import (
    fill_holes_with_label,
    morphological_closing,
    morphological_opening,
)

from .scenes import UNIT, array, blobs, boxes, image

# label 2 lies inside label 1 and is enclosed by it; beside it is a hole of 3 x 3 x 3
SHELL = boxes((1, (2, 2, 2), (14, 12, 10)), (2, (4, 4, 4), (2, 2, 2)), (0, (9, 5, 5), (3, 3, 3)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("iterations", [1, 2])
def test_opening_is_simpleitks(seed: int, iterations: int) -> None:
    label = blobs(seed)
    mask = label == 1
    # as many steps of a cross are a diamond; SimpleITK's erosion does not stop at the border, so the image is padded
    padded = image(np.pad(mask, iterations))
    cross = sitk.BinaryErode(padded, [1] * 3, sitk.sitkCross, 0, 1)
    for _ in range(iterations - 1):
        cross = sitk.BinaryErode(cross, [1] * 3, sitk.sitkCross, 0, 1)
    for _ in range(iterations):
        cross = sitk.BinaryDilate(cross, [1] * 3, sitk.sitkCross, 0, 1)
    opened = array(cross)[(slice(iterations, -iterations),) * 3]
    expected = label.copy()
    expected[mask & ~opened] = 0
    np.testing.assert_array_equal(morphological_opening(label, (1,), UNIT, iterations=iterations), expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("iterations", [1, 2])
def test_closing_is_simpleitks_on_the_background(seed: int, iterations: int) -> None:
    label = blobs(seed)
    mask = label == 1
    width = 2 * iterations
    grown = image(np.pad(mask, width))
    for _ in range(iterations):
        grown = sitk.BinaryDilate(grown, [1] * 3, sitk.sitkCross, 0, 1)
    for _ in range(iterations):
        grown = sitk.BinaryErode(grown, [1] * 3, sitk.sitkCross, 0, 1)
    closed = array(grown)[(slice(width, -width),) * 3]
    expected = label.copy()
    expected[closed & (label == 0)] = 1
    made = morphological_closing(label, (1,), UNIT, iterations=iterations)
    np.testing.assert_array_equal(made, expected)
    assert (made != label).any()
    np.testing.assert_array_equal(made[label != 0], label[label != 0])


@pytest.mark.parametrize("seed", range(3))
def test_holes_are_simpleitks_without_other_structures(seed: int) -> None:
    label = blobs(seed, values=(1, 1, 2))
    label[np.random.default_rng(seed).random(label.shape) < 0.05] = 0
    filled = array(sitk.BinaryFillhole(image(label == 1), False))
    expected = label.copy()
    expected[filled & (label == 0)] = 1
    assert (expected != label).sum() > 10
    np.testing.assert_array_equal(fill_holes_with_label(label, (1,), UNIT), expected)


def test_enclosed_structure_is_kept_and_the_hole_filled() -> None:
    # MIST 2.3.0 erases label 2 here
    for fill_label, expected in ((None, 1), (5, 5)):
        made = fill_holes_with_label(SHELL, (1,), UNIT, fill_label=fill_label)
        np.testing.assert_array_equal(made == 2, SHELL == 2)
        assert (made[9:12, 5:8, 5:8] == expected).all()
        assert (made != SHELL).sum() == 27
    # filling with background changes nothing at all
    np.testing.assert_array_equal(fill_holes_with_label(SHELL, (1,), UNIT, fill_label=0), SHELL)


def test_large_holes_stay_when_only_small_ones_shall_go() -> None:
    assert fill_holes_with_label(SHELL, (1,), UNIT, max_size=26) is SHELL
    assert fill_holes_with_label(SHELL, (1,), UNIT, max_size=27) is not SHELL
    halves = (0.5, 0.5, 0.5)
    assert fill_holes_with_label(SHELL, (1,), halves, max_size=27 / 8, unit="mm3") is not SHELL
    assert fill_holes_with_label(SHELL, (1,), halves, max_size=27 / 8 - 0.01, unit="mm3") is SHELL


def test_hole_between_two_labels_of_a_group_takes_the_nearest() -> None:
    label = boxes((1, (2, 2, 2), (6, 8, 8)), (2, (8, 2, 2), (6, 8, 8)), (0, (6, 4, 4), (4, 3, 3)))
    assert fill_holes_with_label(label, (1,), UNIT) is label, "label 1 alone encloses nothing"
    made = fill_holes_with_label(label, (1, 2), UNIT)
    assert (made[6, 5, 5], made[9, 5, 5]) == (1, 2)
    assert (made[2:14, 2:10, 2:10] != 0).all()


def test_closing_takes_the_nearest_label_in_mm() -> None:
    label = boxes((1, (2, 2, 2), (3, 8, 8)), (2, (6, 2, 2), (3, 8, 8)))  # one voxel apart
    made = morphological_closing(label, (1, 2), UNIT)
    assert set(np.unique(made[5, 3:9, 3:9])) <= {1, 2}
    assert morphological_closing(label, (1,), UNIT) is label


def test_closing_does_not_eat_at_the_border_of_the_image() -> None:
    label = boxes((1, (0, 0, 0), (6, 6, 6)))
    np.testing.assert_array_equal(morphological_closing(label, (1,), UNIT, iterations=2), label)


@pytest.mark.parametrize("operation", [morphological_opening, morphological_closing, fill_holes_with_label])
def test_other_structures_stay_and_the_argument_too(operation) -> None:
    for seed in range(3):
        label = blobs(seed)
        label.flags.writeable = False
        before = label.copy()
        made = operation(label, (1,), UNIT)
        np.testing.assert_array_equal(label, before)
        np.testing.assert_array_equal(made[np.isin(before, (2, 3))], before[np.isin(before, (2, 3))])
    empty = np.zeros((5, 5, 5), np.uint8)
    assert operation(empty, (1,), UNIT) is empty
