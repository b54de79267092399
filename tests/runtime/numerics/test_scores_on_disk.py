"""Channels that come back from the disk are those that are restored as whole volumes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.runtime.numerics import scores_on_disk
from mist_bundle.runtime.numerics.restore import restore_scores
from mist_bundle.runtime.numerics.scores_on_disk import ScoresOnDisk
from tests.runtime.geometry import make_affine, orientations, spacings


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    reference_shape=st.tuples(*[st.integers(2, 14)] * 3),
    orientation=orientations,
    spacing=spacings,
    cut=st.integers(1, 12),
    crop=st.booleans(),
    slab=st.sampled_from([1, 60, 1 << 24]),
    seed=st.integers(0, 1000),
)
def test_channels_are_those_of_the_whole(
    tmp_path_factory, shape, reference_shape, orientation, spacing, cut, crop, slab, seed
):
    random = np.random.default_rng(seed)
    scores = random.random((3, *shape)).astype(np.float32)
    scores /= scores.sum(0)
    affine = make_affine(orientation, (1.0, 1.0, 1.0))
    box = ((1, 0, 1), tuple(reference_shape)) if crop else None
    grids = (affine, affine @ np.diag([*spacing, 1.0]), reference_shape, box)
    expected = restore_scores(scores, *grids)
    kept = ScoresOnDisk(tmp_path_factory.getbasetemp(), shape, *grids)
    for corner in itertools.product(*(range(0, length, cut) for length in shape)):
        part = tuple(slice(first, min(first + cut, length)) for first, length in zip(corner, shape, strict=True))
        kept.add(part, scores[(slice(None), *part)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores_on_disk, "_SLAB_VOXELS", slab)
        for channel in range(3):
            slabs = list(kept.slabs(channel, outside=float(channel == 0)))
            np.testing.assert_allclose(np.concatenate(slabs, axis=2), expected[channel], atol=1e-6)
    kept.close()


def test_nothing_stays_in_the_folder(tmp_path: Path) -> None:
    kept = ScoresOnDisk(tmp_path / "new", (2, 2, 2), np.eye(4), np.eye(4), (2, 2, 2))
    kept.add((slice(0, 2),) * 3, np.zeros((1, 2, 2, 2), np.float32))
    assert list((tmp_path / "new").iterdir()) == []
    kept.close()
