"""Operations on connected components against SimpleITK and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from mist_bundle.runtime.postprocessing.components import (
    keep_top_k_components,
    remove_small_objects,
    replace_small_objects_with_label,
)

from .scenes import UNIT, array, blobs, boxes, image

LARGE = (1, (2, 2, 2), (5, 5, 5))
SMALL = (1, (12, 12, 8), (2, 2, 2))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("group", [(1,), (1, 3)])
def test_small_objects_are_those_of_simpleitk(seed: int, group: tuple[int, ...]) -> None:
    label = blobs(seed)
    mask = np.isin(label, group)
    for fully, connectivity in ((False, 6), (True, 26)):
        numbered = sitk.RelabelComponent(sitk.ConnectedComponent(image(mask), fully), minimumObjectSize=40)
        expected = label.copy()
        expected[mask & ~array(numbered != 0)] = 0
        made = remove_small_objects(label, group, UNIT, min_size=40, connectivity=connectivity)
        np.testing.assert_array_equal(made, expected)
        assert group != (1,) or (made != label).any(), "the scene has small objects"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 2, 4])
def test_largest_components_are_those_of_simpleitk(seed: int, k: int) -> None:
    label = blobs(seed)
    numbers = sitk.GetArrayFromImage(sitk.RelabelComponent(sitk.ConnectedComponent(image(label == 2), True)))
    sizes = np.bincount(numbers.ravel())[1:]
    assert len(set(sizes[: k + 1])) == k + 1, "the scene leaves no doubt"
    expected = label.copy()
    expected[numbers > k] = 0
    np.testing.assert_array_equal(keep_top_k_components(label, (2,), UNIT, k=k), expected)


def test_size_in_mm3_follows_the_spacing() -> None:
    label = boxes(LARGE, SMALL)  # eight voxels of 0.5 x 0.5 x 4 mm: 8 mm³
    spacing_mm = (0.5, 0.5, 4.0)
    kept = remove_small_objects(label, (1,), spacing_mm, min_size=8.0, unit="mm3")
    assert kept is label, "exactly the size is not smaller"
    np.testing.assert_array_equal(
        remove_small_objects(label, (1,), spacing_mm, min_size=8.01, unit="mm3"), boxes(LARGE)
    )
    assert remove_small_objects(label, (1,), spacing_mm, min_size=8, unit="voxels") is label


def test_other_labels_are_never_touched() -> None:
    label = boxes(LARGE, SMALL, (2, (18, 2, 2), (1, 1, 1)))
    assert remove_small_objects(label, (1,), UNIT, min_size=64)[18, 2, 2] == 2
    np.testing.assert_array_equal(keep_top_k_components(label, (1,), UNIT)[label == 2], 2)


def test_group_is_one_object() -> None:
    # a small part that touches a large one of the other label is not a small object of the two
    label = boxes((1, (2, 2, 2), (5, 5, 5)), (2, (7, 2, 2), (1, 2, 2)))
    assert remove_small_objects(label, (1, 2), UNIT, min_size=64) is label
    np.testing.assert_array_equal(remove_small_objects(label, (2,), UNIT, min_size=64), boxes(LARGE))


def test_small_objects_become_another_label() -> None:
    # BraTS: small enhancing tumour (3) becomes oedema (2)
    label = boxes((3, (2, 2, 2), (5, 5, 5)), (3, (12, 12, 8), (2, 2, 2)))
    made = replace_small_objects_with_label(label, (3,), UNIT, replacement=2, min_size=64)
    np.testing.assert_array_equal(made, boxes((3, (2, 2, 2), (5, 5, 5)), (2, (12, 12, 8), (2, 2, 2))))


def test_replacement_that_the_type_cannot_hold_widens_it() -> None:
    label = boxes(SMALL)
    made = replace_small_objects_with_label(label, (1,), UNIT, replacement=300, min_size=64)
    assert set(np.unique(made)) == {0, 300}


def test_bridge_does_not_hold_components_together() -> None:
    # two cubes of 5 and 4 and a bridge of one voxel
    label = boxes((1, (2, 2, 2), (5, 5, 5)), (1, (7, 4, 4), (3, 1, 1)), (1, (10, 3, 3), (4, 4, 4)))
    assert keep_top_k_components(label, (1,), UNIT) is label
    made = keep_top_k_components(label, (1,), UNIT, detach=1)
    assert made[2:7, 2:7, 2:7].any()
    assert not made[10:].any()
    assert made.sum() <= 125 + 3


def test_detach_removes_what_has_no_core_when_one_core_is_left() -> None:
    # a cube of 5, a bridge of one voxel and a sheet that the erosion removes whole: one core, as many as are kept
    label = boxes((1, (2, 2, 2), (5, 5, 5)), (1, (7, 4, 4), (4, 1, 1)), (1, (11, 2, 4), (2, 5, 1)))
    made = keep_top_k_components(label, (1,), UNIT, detach=1)
    core = ndimage.binary_erosion(label > 0)
    np.testing.assert_array_equal(made > 0, ndimage.binary_dilation(core, mask=label > 0))
    assert not made[11:].any()


def test_places_without_a_core_go_to_the_largest_components() -> None:
    # only the cube has a core; the sheet is the larger of the two components without one
    cube, sheet, speck = (1, (2, 2, 2), (5, 5, 5)), (1, (12, 2, 2), (2, 5, 2)), (1, (12, 12, 2), (1, 1, 1))
    made = keep_top_k_components(boxes(cube, sheet, speck), (1,), UNIT, k=2, detach=1)
    assert (made[12:14, 2:7, 2:4] == 1).all()
    assert made[12, 12, 2] == 0
    assert made[4, 4, 4] == 1
    # no core at all: as without `detach`
    np.testing.assert_array_equal(keep_top_k_components(boxes(sheet, speck), (1,), UNIT, detach=1), boxes(sheet))


def test_of_equal_components_the_first_stays() -> None:
    label = boxes((1, (2, 2, 2), (3, 3, 3)), (1, (12, 12, 8), (3, 3, 3)))
    np.testing.assert_array_equal(keep_top_k_components(label, (1,), UNIT), boxes((1, (2, 2, 2), (3, 3, 3))))


@pytest.mark.parametrize("operation", [remove_small_objects, keep_top_k_components])
def test_nothing_to_do_gives_the_same_array(operation) -> None:
    label = boxes(LARGE)
    assert operation(label, (1,), UNIT) is label
    assert operation(label, (7,), UNIT) is label
    empty = np.zeros_like(label)
    assert operation(empty, (1,), UNIT) is empty


def test_argument_is_never_changed() -> None:
    label = boxes(LARGE, SMALL)
    label.flags.writeable = False
    before = label.copy()
    remove_small_objects(label, (1,), UNIT)
    keep_top_k_components(label, (1,), UNIT)
    replace_small_objects_with_label(label, (1,), UNIT, replacement=5)
    np.testing.assert_array_equal(label, before)
