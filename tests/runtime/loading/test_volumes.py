"""Regions of mapped arrays: padded, mirrored, and no more bytes than needed."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mist_bundle.runtime.loading.volumes import CacheEntry, open_array, read_region

from .synthetic import entries, random_case

sizes = st.integers(1, 7)


@settings(max_examples=150, deadline=None)
@given(
    volume=arrays(np.int16, st.tuples(st.integers(1, 2), sizes, sizes, sizes), elements=st.integers(1, 99)),
    start=st.tuples(*[st.integers(-6, 8)] * 3),
    extent=st.tuples(*[st.integers(1, 9)] * 3),
    flips=st.tuples(*[st.booleans()] * 3),
)
def test_region_is_a_cut_of_the_zero_padded_mirrored_volume(
    volume: np.ndarray, start: tuple[int, ...], extent: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    margin = 20
    padded = np.pad(volume, [(0, 0)] + [(margin, margin)] * 3)
    expected = padded[(slice(None), *(slice(s + margin, s + margin + e) for s, e in zip(start, extent, strict=True)))]
    expected = np.flip(expected, [axis + 1 for axis in range(3) if flips[axis]])
    region = read_region(volume, start, extent, flips)
    np.testing.assert_array_equal(region, expected)
    assert region.dtype == volume.dtype
    assert region.flags.c_contiguous
    assert region.base is None  # a copy that owns its bytes: the volume is not held


def test_a_patch_of_a_huge_volume_costs_the_bytes_of_the_patch(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    # 16 GB on paper, a hole on the disk; it fits neither here nor into a sensible page cache
    volume = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1, 2000, 2000, 1000))
    volume[0, 1000, 1000, 500] = 7.0
    volume.flush()
    del volume
    before = resource.getrusage(resource.RUSAGE_SELF)
    patch = read_region(open_array(path), (990, 990, 490), (20, 20, 20), (False, False, False))
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert patch[0, 10, 10, 10] == 7.0
    assert patch.sum() == 7.0
    assert after.ru_maxrss - before.ru_maxrss < 64 * 1024  # kilobytes
    assert after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt < 4000


def test_entry_reads_back_what_was_stored(tmp_path: Path) -> None:
    case = random_case(3, (12, 10, 9), channels=2, num_classes=4)
    (entry,) = entries(tmp_path, {"a": case})
    assert CacheEntry.read(entry.folder) == entry
    assert entry.shape == (12, 10, 9)
    np.testing.assert_array_equal(entry.array("image"), case["image"])
    np.testing.assert_array_equal(entry.array("label"), case["label"])
    assert [stored.index for stored in entry.classes] == sorted(set(np.unique(case["label"]).tolist()) - {0})
    for stored in entry.classes:
        positions = {entry.voxel(stored, number) for number in range(stored.num_rows)}
        assert positions == set(map(tuple, np.argwhere(case["label"][0] == stored.index).tolist()))
        assert stored.num_voxels == len(positions)


def test_mapped_arrays_cannot_be_written(tmp_path: Path) -> None:
    (entry,) = entries(tmp_path, {"a": random_case(0, (8, 8, 8))})
    with pytest.raises(ValueError, match="read-only"):
        entry.array("image")[0, 0, 0, 0] = 1.0
