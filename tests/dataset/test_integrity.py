from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mist_bundle.dataset.integrity import check_headers, check_label_values, check_voxels, count_labels
from mist_bundle.dataset.volumes import Volume

AFFINE = np.array([[-0.5, 0, 0, 200], [0, -0.5, 0, -180], [0, 0, 3.0, 77], [0, 0, 0, 1]])


def volume(name="b.nii.gz", affine=AFFINE, array=None):
    voxels = np.zeros((40, 30, 20), np.float32) if array is None else array
    return Volume(path=Path("folder") / name, array=voxels, affine=np.array(affine, dtype=np.float64))


def changed(**entries):
    affine = AFFINE.copy()
    for key, value in entries.items():
        affine[int(key[1]), int(key[2])] = value
    return affine


def test_equal_headers():
    assert check_headers(volume("a.nii.gz"), volume()) == []


def test_rounding_is_no_mismatch():
    # what MIST excludes a case for: an origin that differs by a millionth of a millimetre
    assert check_headers(volume(), volume(affine=changed(_03=200 + 1e-6))) == []
    assert check_headers(volume(), volume(affine=AFFINE.astype(np.float32))) == []
    assert check_headers(volume(), volume(affine=changed(_03=200.004))) == []


@pytest.mark.parametrize(
    ("affine", "words", "absent"),
    [
        (changed(_03=207), ["origin is shifted by (7, 0, 0) mm", "up to 7 mm"], ["spacing", "direction"]),
        (changed(_23=77.06), ["(0, 0, 0.06)", "tolerance 0.05 mm"], ["spacing", "direction"]),
        (changed(_22=3.1), ["spacing is (0.5, 0.5, 3.1) mm, expected (0.5, 0.5, 3) mm"], ["origin", "direction"]),
        (changed(_00=0.5), ["direction is turned by 180 degrees"], ["spacing", "origin"]),
    ],
)
def test_a_mismatch_names_field_and_amount(affine, words, absent):
    (finding,) = check_headers(volume("image.nii.gz"), volume("mask.nii.gz", affine))
    assert finding.startswith("mask.nii.gz does not lie on the grid of image.nii.gz")
    for word in words:
        assert word in finding
    for word in absent:
        assert word not in finding


def test_a_small_turn():
    angle = np.radians(2)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    (finding,) = check_headers(volume(), volume(affine=turn @ AFFINE))
    assert "direction is turned by 2 degrees" in finding


def test_different_shapes():
    (finding,) = check_headers(volume(), volume(array=np.zeros((40, 30, 21))))
    assert "shape is (40, 30, 21), expected (40, 30, 20)" in finding


@given(shift=st.tuples(*[st.floats(-20, 20)] * 3))
def test_shifts_are_refused_exactly_above_the_tolerance(shift):
    affine = AFFINE.copy()
    affine[:3, 3] += shift
    # a hundredth of the 0.5 mm voxel; the corners' distance is the shift, up to rounding
    distance = float(np.linalg.norm(affine[:3, 3] - AFFINE[:3, 3]))
    assert bool(check_headers(volume(), volume(affine=affine))) == (distance > 0.005)


def test_voxels():
    good = np.zeros((4, 4, 4), np.float32)
    assert check_voxels(volume(array=good)) == []
    assert check_voxels(volume(array=good.astype(np.int16))) == []
    bad = good.copy()
    bad[1, 2, 3] = np.nan
    bad[2, 2, 2] = np.inf
    bad[3, 3, 3] = -np.inf
    (finding,) = check_voxels(volume(array=bad))
    assert "1 NaN and 2 infinite voxels, the first at index [1, 2, 3]" in finding


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.int16, np.int32, np.float32, np.float64]),
        st.tuples(*[st.integers(1, 4)] * 3),
        elements=st.integers(0, 100),
        fill=st.nothing(),
    )
)
def test_counts_are_those_of_unique(array):
    values, counts = np.unique(array, return_counts=True)
    expected = dict(zip(values.tolist(), counts.tolist(), strict=True))
    found = count_labels(np.asfortranarray(array))
    assert found == expected
    assert list(found) == sorted(expected)
    assert all(isinstance(value, int) for value in found)


def test_counts_of_difficult_arrays():
    assert count_labels(np.array([0, 30000, -30000, -30000], np.int16)) == {-30000: 2, 0: 1, 30000: 1}
    assert count_labels(np.array([0.5, 1.0, 1.0, 0.0])) == {0: 1, 0.5: 1, 1: 2}
    assert count_labels(np.array([1.5, 2.5])) == {1.5: 1, 2.5: 1}
    assert count_labels(np.array([1e9, 0, 3], np.float64)) == {0: 1, 3: 1, 10**9: 1}
    assert count_labels(np.array([7, 7])) == {7: 2}
    counts = count_labels(np.array([np.nan, 1.0, np.inf], np.float32))
    assert [repr(value) for value in counts] == ["1", "inf", "nan"]


def test_label_values():
    assert check_label_values({0: 10, 4: 2}, (0, 1, 4), "mask.nii.gz") == []
    (finding,) = check_label_values({0: 10, 7: 3, -1: 1}, (0, 1, 4), "mask.nii.gz")
    assert "mask.nii.gz holds the label 7 (3 voxels), -1 (1 voxel)" in finding
    assert "[0, 1, 4]" in finding
    broken, unknown = check_label_values({0: 10, 0.5: 3, 2: 1}, (0, 1), "mask.nii.gz")
    assert "0.5 (3 voxels); labels must be whole numbers" in broken
    assert "label 2 (1 voxel)" in unknown
    (finding,) = check_label_values({value + 0.5: 1 for value in range(100)}, (0, 1), "m")
    assert "and 92 more" in finding
