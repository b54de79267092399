"""Damage of cache files is noticed: size, time and checksum."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.runtime.loading.integrity import damage, save_array


@pytest.mark.parametrize(
    "array", [np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.zeros((0, 3), np.int16), np.arange(9)[::2]]
)
def test_what_is_recorded_is_true_of_the_file(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.npy"
    recorded = save_array(path, array)
    assert recorded["crc32"] == zlib.crc32(path.read_bytes())
    assert (recorded["size"], recorded["mtime_ns"]) == (path.stat().st_size, path.stat().st_mtime_ns)
    np.testing.assert_array_equal(np.load(path), array)
    assert damage(tmp_path, {"a.npy": recorded}) == ""


def test_a_large_array_is_written_in_pieces_and_summed_up_as_a_whole(tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((3, 2**22), dtype=np.float32)
    recorded = save_array(tmp_path / "a.npy", array)
    os.utime(tmp_path / "a.npy")
    assert damage(tmp_path, {"a.npy": recorded}) == ""
    assert (tmp_path / "a.npy").stat().st_mtime_ns == recorded["mtime_ns"], "looked at in full only once"


def test_each_damage_is_named(tmp_path: Path) -> None:
    recorded = {"a.npy": save_array(tmp_path / "a.npy", np.arange(10))}
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-1] + b"x")
    assert damage(tmp_path, recorded) == "a.npy was changed"
    (tmp_path / "a.npy").write_bytes(content[:-1])
    assert damage(tmp_path, recorded) == f"a.npy has {len(content) - 1} bytes instead of {len(content)}"
    (tmp_path / "a.npy").unlink()
    assert damage(tmp_path, recorded) == "a.npy: No such file or directory"
