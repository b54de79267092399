"""Predictions carried back to the grid of the file: label maps, regions that overlap, and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mist_bundle.runtime.numerics import grid
from mist_bundle.runtime.numerics.crop import box_slices
from mist_bundle.runtime.numerics.resample import coarse_axis, resample_label
from mist_bundle.runtime.numerics.restore import (
    label_dtype,
    restore_label_from_regions,
    restore_label_from_scores,
    restore_scores,
)
from tests.runtime.geometry import (
    ORIENTATIONS,
    dice,
    make_affine,
    obliques,
    orientations,
    rotation,
    shape_for,
    spacings,
    two_organs,
)
from tests.runtime.numerics.test_resample import itk_resample

VALUES = (0, 1, 4)
BRATS = {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}
WRITES = (2, 1, 4)  # WT its own oedema, TC necrosis, ET itself
ORDER = (0, 1, 2)
GRID = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS, 1 mm


def one_hot(label, num_classes=3):
    return np.stack([label == index for index in range(num_classes)]).astype(np.float32)


def prepare(label, affine, target, box):
    """What the transforms do to a label: crop, turn to LPS, resample."""
    cropped = label[box_slices(box)]
    turned, turned_affine = grid.reorient(cropped[None], grid.cropped_affine(affine, box[0]), "LPS")
    spacing = grid.spacing_of(turned_affine)
    prepared = resample_label(turned[0], spacing, target, 3)
    return prepared, grid.resampled_affine(turned_affine, turned[0].shape, prepared.shape, target)


def some_box(label, margin):
    used = [np.flatnonzero(label.any(axis=tuple(k for k in range(3) if k != axis))) for axis in range(3)]
    start = tuple(max(0, int(axis[0]) - margin) for axis in used)
    stop = tuple(min(n, int(axis[-1]) + 1 + margin) for axis, n in zip(used, label.shape, strict=True))
    return start, stop


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_equal_spacing_gives_every_voxel_back_for_all_orientations(orientation):
    label = np.random.default_rng(0).integers(0, 3, size=(6, 7, 8)).astype(np.uint8)
    affine = make_affine(orientation, (0.9, 1.3, 2.1), (5, -8, 13)).astype(np.float32)
    box = ((1, 0, 2), (6, 5, 8))
    spacing_lps = grid.spacing_of(grid.reorient(label[None], affine)[1])
    prepared, prepared_affine = prepare(label, affine, tuple(spacing_lps), box)
    result = restore_label_from_scores(one_hot(prepared), prepared_affine, affine, label.shape, box, VALUES)
    expected = np.zeros_like(label)
    expected[box_slices(box)] = np.array(VALUES, dtype=np.uint8)[label[box_slices(box)]]
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.uint8


def there_and_back_with_itk(label, spacing, target, coarse):
    """The same two interpolations by SimpleITK along the label's own axes: what no orientation or crop may worsen."""
    shape = grid.resampled_shape(label.shape, spacing, target)
    maps = one_hot(label).astype(np.float64)
    between = tuple(target[k] if k == coarse else spacing[k] for k in range(3))
    if coarse is not None:
        maps = np.stack([itk_resample(m, spacing, between, sitk.sitkNearestNeighbor) for m in maps])
    maps = np.stack([itk_resample(m, between, target, sitk.sitkLinear, size=shape) for m in maps])
    coarse_label = one_hot(maps.round(5).argmax(axis=0)).astype(np.float64)
    back = np.stack([itk_resample(m, target, spacing, sitk.sitkLinear, size=label.shape) for m in coarse_label])
    return back.round(5).argmax(axis=0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@given(
    degrees=obliques,
    spacing=spacings,
    target=spacings,
    extent=st.tuples(*[st.floats(30, 45)] * 3),
    margin=st.one_of(st.none(), st.integers(0, 3)),
    seed=st.integers(0, 50),
)
@settings(max_examples=6, deadline=None)
def test_round_trip_is_as_good_as_a_direct_resample(orientation, degrees, spacing, target, extent, margin, seed):
    label = two_organs(shape_for(spacing, extent), seed)
    if not {1, 2} <= set(np.unique(label).tolist()):
        return  # too coarse a grid to see the small organ
    affine = make_affine(orientation, spacing, degrees).astype(np.float32)
    box = ((0, 0, 0), label.shape) if margin is None else some_box(label, margin)
    prepared, prepared_affine = prepare(label, affine, target, box)
    assert grid.axis_letters(prepared_affine) == "LPS"
    result = restore_label_from_scores(one_hot(prepared), prepared_affine, affine, label.shape, box, VALUES)
    assert result.shape == label.shape
    outside = np.ones(label.shape, dtype=bool)
    outside[box_slices(box)] = False
    assert not result[outside].any()

    permutation, _ = grid.orientation_to(affine, label.shape)
    target_native = tuple(target[permutation.index(axis)] for axis in range(3))
    part = label[box_slices(box)]
    # A slice half-way between two takes the upper one, which is the other one when the axis runs the other way.
    spacing_native = tuple(grid.spacing_of(affine))
    # Of two axes that are equally coarse, the first in LPS order is the one resampled by nearest neighbours.
    coarse_lps = coarse_axis([spacing_native[axis] for axis in permutation])
    coarse = None if coarse_lps is None else permutation[coarse_lps]
    directs = [
        there_and_back_with_itk(part[turn], spacing_native, target_native, coarse)[turn]
        for turn in (np.s_[:, :, :], np.s_[::-1, ::-1, ::-1])
    ]
    for index in (1, 2):
        # In a structure of a few voxels, one of them is all the difference.
        allowed = 0.01 + 2 / int((label == index).sum())
        worst = min(dice(direct, part, index) for direct in directs)
        assert dice(result, np.array(VALUES)[label], VALUES[index]) >= worst - allowed


@pytest.mark.parametrize("degrees", [1.0, 7.0, 14.0, 15.0, 19.0])
def test_noise_of_a_float32_header_does_not_choose_between_equal_classes(degrees):
    # 2 mm to 1.25 mm: every fourth voxel lies half-way between two voxels, where two classes are equal
    label = two_organs((30, 27, 30), 38)
    results = []
    for angle in (0.0, degrees):
        affine = make_affine(((0, 2, 1), (-1, -1, 1)), (1.0, 1.25, 1.0), (0.0, angle, 0.0)).astype(np.float32)
        prepared, prepared_affine = prepare(label, affine, (1.0, 1.0, 2.0), ((0, 0, 0), label.shape))
        scores = one_hot(prepared)
        results.append(restore_label_from_scores(scores, prepared_affine, affine, label.shape, None, VALUES))
    np.testing.assert_array_equal(results[0], results[1])


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
@pytest.mark.parametrize(("spacing", "target"), [(0.75, 1.5), (1.0, 2.0), (5.0, 1.0)])
def test_round_trip_moves_nothing(orientation, spacing, target):
    spacings_mm = (spacing, spacing, 1.0)
    label = (two_organs(shape_for(spacings_mm, (60, 60, 60))) > 0).astype(np.uint8)
    affine = make_affine(orientation, spacings_mm)
    box = ((0, 0, 0), label.shape)
    prepared, prepared_affine = prepare(label, affine, (target, target, target), box)
    result = restore_label_from_scores(one_hot(prepared), prepared_affine, affine, label.shape, None, VALUES)
    shift_mm = (np.argwhere(result).mean(axis=0) - np.argwhere(label).mean(axis=0)) * spacings_mm
    assert np.abs(shift_mm).max() < 0.15 * max(spacing, target)
    assert dice(result, label, 1) > 0.9


@given(orientations, spacings, st.integers(2, 6), st.booleans(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_any_scores_give_the_arg_max_of_scipys_interpolation(orientation, spacing, num_classes, cropped, seed):
    rng = np.random.default_rng(seed)
    shape = (9, 10, 11)
    box = ((1, 2, 0), (8, 10, 6)) if cropped else ((0, 0, 0), shape)
    affine = make_affine(orientation, spacing, (4, 5, 6))
    cropped_shape = np.subtract(box[1], box[0])
    turned, turned_affine = grid.reorient(np.zeros((1, *cropped_shape)), grid.cropped_affine(affine, box[0]))
    target = tuple(rng.uniform(0.5, 6, size=3))
    prepared_shape = grid.resampled_shape(turned.shape[1:], grid.spacing_of(turned_affine), target)
    prepared_affine = grid.resampled_affine(turned_affine, turned.shape[1:], prepared_shape, target)
    # Logits, with few places where a class beats the background, so that most of its volume is skipped.
    scores = rng.normal(size=(num_classes, *prepared_shape)).astype(np.float32)
    scores[0] += 1.5
    labels = [0, *rng.permutation(np.arange(1, 500))[: num_classes - 1].tolist()]
    result = restore_label_from_scores(scores, prepared_affine, affine, shape, box, labels)

    index = np.stack(np.meshgrid(*map(np.arange, shape), [1.0], indexing="ij"))[..., 0].reshape(4, -1)
    position = (np.linalg.inv(prepared_affine) @ affine @ index)[:3]
    position = np.where(np.abs(position - np.rint(position)) < 1e-4, np.rint(position), position)
    maps = np.stack([ndimage.map_coordinates(s, position, order=1, mode="nearest") for s in scores]).reshape(-1, *shape)
    expected = np.array(labels)[maps.argmax(axis=0)]
    outside = np.ones(shape, dtype=bool)
    outside[box_slices(box)] = False
    expected[outside] = 0
    ordered = np.sort(maps, axis=0)
    clear = (ordered[-1] - ordered[-2] > 1e-4) | outside
    np.testing.assert_array_equal(result[clear], expected[clear])
    assert result.dtype == label_dtype(labels)

    probabilities = np.exp(scores) / np.exp(scores).sum(axis=0)
    restored = restore_scores(probabilities, prepared_affine, affine, shape, box)
    expected_map = ndimage.map_coordinates(probabilities[1], position, order=1, mode="nearest").reshape(shape)
    np.testing.assert_allclose(restored[1][~outside], expected_map[~outside], atol=1e-5)
    np.testing.assert_allclose(restored.sum(axis=0), 1, atol=1e-5)
    assert restored.min() >= 0
    assert (restored[0][outside] == 1).all()


def test_half_precision_probabilities_sum_to_one_again():
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], size=(4, 5, 6)).transpose(3, 0, 1, 2).astype(np.float16)
    restored = restore_scores(scores, np.eye(4), np.diag([0.5, 0.5, 0.5, 1]), (8, 10, 12))
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored.sum(axis=0), 1, atol=1e-6)


def test_the_scores_that_come_in_are_not_changed():
    scores = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)
    before = scores.copy()
    restore_label_from_scores(scores, np.eye(4), np.eye(4), (4, 5, 6), None, VALUES)
    np.testing.assert_array_equal(scores, before)


def test_logits_are_no_probabilities():
    with pytest.raises(ValueError, match="softmax"):
        restore_scores(np.full((2, 2, 2, 2), -1.0), np.eye(4), np.eye(4), (2, 2, 2))


def test_tilted_grids_and_wrong_labels_are_refused():
    scores = np.zeros((2, 20, 20, 20), dtype=np.float32)
    tilted = np.eye(4)
    tilted[:3, :3] = rotation((0, 0, 10))
    with pytest.raises(ValueError, match="tilted"):
        restore_label_from_scores(scores, tilted, np.eye(4), (20, 20, 20), None, (0, 1))
    with pytest.raises(ValueError, match="2 score maps for 3 labels"):
        restore_label_from_scores(scores, np.eye(4), np.eye(4), (20, 20, 20), None, VALUES)
    with pytest.raises(ValueError, match="does not lie inside"):
        restore_label_from_scores(scores, np.eye(4), np.eye(4), (20, 20, 20), ((0, 0, 0), (20, 20, 21)), (0, 1))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 255], "uint8"), ([0, 256], "uint16"), ([0, 70000], "uint32"), ([-1, 0], "int16"), ([0, 2**40], "int64")],
)
def test_label_dtype_is_the_smallest_that_fits(labels, expected):
    assert label_dtype(labels) == np.dtype(expected)


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
