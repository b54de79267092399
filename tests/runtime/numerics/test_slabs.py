"""Parts of a volume cover it once, and statistics of the parts are those of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from mist_bundle.runtime.numerics.slabs import mean_and_std, slabs


@pytest.mark.parametrize("shape", [(7, 5, 6), (1, 40, 3), (3, 1, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("num_voxels", [1, 30, 64, 1000])
def test_every_voxel_is_in_a_single_part(shape, order, num_voxels):
    counts = np.zeros(shape, np.uint8, order=order)
    for slab in slabs(counts, num_voxels):
        counts[slab] += 1
    assert (counts == 1).all()


def test_parts_are_no_larger_than_said_and_lie_together_in_memory():
    array = np.zeros((6, 40, 50), np.float32, order="F")
    parts = [array[slab] for slab in slabs(array, 1000)]
    assert max(part.size for part in parts) <= 1000
    assert all(part.flags.f_contiguous for part in parts)


def test_mean_and_deviation_are_numpys():
    values = np.random.default_rng(0).normal(1000, 3, (30, 40, 50)).astype(np.float32)
    expected = values.mean(dtype=np.float64), values.std(dtype=np.float64)
    assert mean_and_std(lambda: [values]) == expected
    in_parts = mean_and_std(lambda: (values[slab] for slab in slabs(values, 999)))
    np.testing.assert_allclose(in_parts, expected, rtol=1e-12)


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match="no mean"):
        mean_and_std(lambda: [np.empty(0), np.empty(0)])
