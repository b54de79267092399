"""STAPLE against SimpleITK's, and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from mist_bundle.evaluation import staple
from mist_bundle.evaluation.staple import staple_labels


def _organs() -> np.ndarray:
    grid = np.indices((32, 28, 24))
    label = np.zeros(grid.shape[1:], np.uint8)
    for value, centre, radius in ((1, (12, 13, 12), 9), (2, (15, 14, 12), 5), (3, (23, 20, 15), 4)):
        distance = np.sqrt(((grid - np.array(centre)[:, None, None, None]) ** 2).sum(axis=0))
        label[distance <= radius] = value
    return label


def _moved_outline(label: np.ndarray, seed: int, width: float) -> np.ndarray:
    """As another observer would draw it: every voxel takes the label found a little beside it."""
    generator = np.random.default_rng(seed)
    shift = [width * ndimage.gaussian_filter(generator.normal(size=label.shape), 2) * 8 for _ in range(3)]
    places = [np.round(axis + one) for axis, one in zip(np.indices(label.shape), shift, strict=True)]
    return ndimage.map_coordinates(label, places, order=0, mode="nearest")


def _itk(maps: list[np.ndarray]) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.MultiLabelSTAPLE([sitk.GetImageFromArray(one) for one in maps]))


@pytest.mark.parametrize("count", [3, 4, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_labels_are_those_of_simpleitk(count: int, seed: int) -> None:
    organs = _organs()
    maps = [_moved_outline(organs, 10 * seed + index, 1.0 + 0.5 * index) for index in range(count)]
    assert 0.01 < np.mean([one != maps[0] for one in maps[1:]]) < 0.3
    result, decided = staple_labels(maps)
    theirs = _itk(maps)
    both = decided & (theirs <= 3)
    assert both.mean() > 0.999
    # ITK does not share tied votes out in the beginning, and so never takes some labels into account: a few voxels
    assert (result[both] != theirs[both]).mean() < (3e-4 if count > 3 else 1e-12)


def test_result_is_the_fixed_point_of_the_definition() -> None:
    """One more step of expectation and maximisation, voxel by voxel, changes nothing."""
    maps = [_moved_outline(_organs(), index, 2.0) for index in range(3)]
    result, decided = staple_labels(maps)
    prior = np.mean([[(one == label).mean() for label in range(4)] for one in maps], axis=0)
    truth = np.eye(4)[result]
    for _ in range(60):
        said = [np.array([truth[one == label].sum(axis=0) for label in range(4)]) for one in maps]
        said = [one / one.sum(axis=0) for one in said]
        truth = prior * np.prod([table[one] for table, one in zip(said, maps, strict=True)], axis=0)
        truth /= truth.sum(axis=-1, keepdims=True)
    assert (truth.argmax(axis=-1) != result)[decided].mean() < 1e-4


def test_two_observers_have_a_consensus_of_their_own() -> None:
    one, two = (_moved_outline(_organs(), seed, 1.5) for seed in (0, 1))
    result, decided = staple_labels([one, two])
    apart = one != two
    assert decided[apart].mean() > 0.9
    assert ((result == one) | (result == two))[decided & apart].mean() > 0.99
    assert (result != one)[apart].any()
    assert (result != two)[apart].any()


def test_one_good_observer_outweighs_careless_ones_that_agree_with_nobody() -> None:
    organs = _organs()
    maps = [_moved_outline(organs, index, 4.0) for index in range(3)] + [organs, _moved_outline(organs, 9, 0.5)]
    votes = np.stack(maps)
    majority = np.array([(votes == value).sum(axis=0) for value in range(4)]).argmax(axis=0)
    result, _ = staple_labels(maps)
    assert (result != organs).mean() < 0.6 * (majority != organs).mean()


def test_identical_maps_are_their_own_consensus() -> None:
    organs = _organs() * 100
    result, decided = staple_labels([organs, organs, organs])
    np.testing.assert_array_equal(result, organs)
    assert decided.all()
    empty = np.zeros((3, 3, 3), np.uint8)
    result, decided = staple_labels([empty, empty])
    np.testing.assert_array_equal(result, empty)
    assert decided.all()


def test_many_combinations_take_the_other_way_to_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = [_moved_outline(_organs(), index, 2.0) for index in range(4)]
    expected = staple_labels(maps)
    monkeypatch.setattr(staple, "_LARGEST_TABLE", 1)
    for one, other in zip(staple_labels(maps), expected, strict=True):
        np.testing.assert_array_equal(one, other)
