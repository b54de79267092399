"""Left and right in class names, and where the structures lie in the patient."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass

from mist_bundle.dataset.sides import count_sides, right_of_left, side_pairs, split_side

SHAPE = (12, 10, 8)
CLASSES = {"kidney_left": (1,), "kidney_right": (2, 3), "liver": (4,)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kidney_left", ("kidney", "left")),
        ("Left-Hippocampus", ("hippocampus", "left")),
        ("lungR", ("lung", "right")),
        ("femur_l", ("femur", "left")),
        ("ctx-rh-precuneus", ("ctx precuneus", "right")),
        ("ren sinister", ("ren", "left")),
        ("arteria carotis dextra", ("arteria carotis", "right")),
        ("lobar_lt_2", ("lobar 2", "left")),
        ("liver", ("liver", "")),
        ("bright_spot", ("bright_spot", "")),
        ("cleft", ("cleft", "")),
    ],
)
def test_names(name: str, expected: tuple[str, str]) -> None:
    assert split_side(name) == expected


def test_pairs_differ_by_their_side_only() -> None:
    (pair,) = side_pairs({**CLASSES, "spleen_left": (5,), "lung_right": (6,)})
    assert (pair.left, pair.right) == ("kidney_left", "kidney_right")
    assert (pair.left_labels, pair.right_labels) == ((1,), (2, 3))
    assert [found.structure for found in side_pairs({"left": (1,), "right": (2,)})] == ["left and right"]


def _labels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 5, SHAPE)


@given(
    seed=st.integers(0, 50),
    permutation=st.sampled_from(list(itertools.permutations(range(3)))),
    signs=st.sampled_from(list(itertools.product((1.0, -1.0), repeat=3))),
)
def test_distances_against_scipy(seed: int, permutation: tuple[int, ...], signs: tuple[float, ...]) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[list(permutation)] * np.array(signs) * 1.7
    affine[:3, 3] = (-5.0, 3.0, 11.0)
    array = _labels(seed)
    left, right = (np.append(center_of_mass(np.isin(array, labels)), 1.0) for labels in ((1,), (2, 3)))
    measured = right_of_left(array, affine, side_pairs(CLASSES))
    assert measured == {"kidney": pytest.approx((affine @ right - affine @ left)[0])}


def test_a_mirrored_image_is_told_and_a_reoriented_one_is_not() -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[2:4, 3:5], array[8:10, 3:5] = 1, 2  # with an identity affine x grows towards the right
    (pair,) = pairs = side_pairs(CLASSES)
    distance = right_of_left(array, np.eye(4), pairs)["kidney"]
    assert distance == 6.0
    assert pair.finding(distance, "a") == ""
    turned = np.diag([-1.0, 1.0, 1.0, 1.0])
    turned[0, 3] = SHAPE[0] - 1
    assert right_of_left(array[::-1], turned, pairs) == {"kidney": 6.0}  # header and voxels were turned together
    mirrored = right_of_left(array[::-1], np.eye(4), pairs)["kidney"]  # the voxels alone
    assert mirrored == -6.0
    assert "shows kidney_left on the patient's right of kidney_right" in pair.finding(mirrored, "label.nii.gz")


def test_one_side_alone_says_nothing() -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[2:4] = 1
    assert right_of_left(array, np.eye(4), side_pairs(CLASSES)) == {}
    assert right_of_left(array, np.eye(4), []) == {}


def test_cases_are_counted() -> None:
    distances = {"a": {"kidney": 30.0}, "b": {"kidney": -30.0}, "c": {"kidney": 0.2}, "d": {}}
    (counts,) = count_sides(side_pairs(CLASSES), distances)
    assert (counts.as_named, counts.contrary) == (1, ("b",))
    assert counts.sentence.startswith("kidney_left lies on the patient's left of kidney_right in 1 of 2 cases")
    assert count_sides(side_pairs(CLASSES), {"c": {"kidney": 0.2}}) == []
