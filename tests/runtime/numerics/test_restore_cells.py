"""A label map put together from cells, cut anywhere, is that of the whole volume."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.runtime.numerics.restore import restore_label_from_regions, restore_label_from_scores
from mist_bundle.runtime.numerics.restore_cells import LabelMapFromCells
from tests.runtime.geometry import make_affine, orientations, spacings

LABELS = [0, 5, 300]


def _segments(length: int, cuts: list[int]) -> list[slice]:
    bounds = [0, *sorted({cut % length for cut in cuts} - {0}), length]
    return [slice(*pair) for pair in itertools.pairwise(bounds)]


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    reference_shape=st.tuples(*[st.integers(1, 14)] * 3),
    orientation=orientations,
    spacing=spacings,
    cuts=st.lists(st.integers(0, 11), max_size=4),
    regions=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_cells_make_the_whole(shape, reference_shape, orientation, spacing, cuts, regions, seed):
    random = np.random.default_rng(seed)
    scores = random.random((3, *shape)).astype(np.float32)
    affine = make_affine(orientation, (1.0, 1.0, 1.0))
    reference_affine = affine @ np.diag([*spacing, 1.0])
    grids = (affine, reference_affine, reference_shape, None)
    if regions:
        expected = restore_label_from_regions(scores, *grids, LABELS, [2, 0, 1])
    else:
        expected = restore_label_from_scores(scores, *grids, LABELS)
    made = LabelMapFromCells(shape, *grids, LABELS, [2, 0, 1] if regions else None)
    axes = [list(enumerate(_segments(length, cuts))) for length in shape]
    for chosen in itertools.product(*axes):
        cell = tuple(index for index, _ in chosen)
        box = tuple(part for _, part in chosen)
        made.add(cell, box, scores[(slice(None), *box)])
    np.testing.assert_array_equal(made.label_map, expected)
    assert made.label_map.dtype == expected.dtype
    assert not made._faces, "nothing is kept of cells whose neighbours have come"


def test_one_score_a_label():
    made = LabelMapFromCells((2, 2, 2), np.eye(4), np.eye(4), (2, 2, 2), None, LABELS)
    with pytest.raises(ValueError, match="There are 2 score maps for 3 labels"):
        made.add((0, 0, 0), (slice(0, 2),) * 3, np.zeros((2, 2, 2, 2), np.float32))
