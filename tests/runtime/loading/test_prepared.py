"""From a preprocessed case to its files: positions of classes, ignored voxels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mist_bundle.runtime.loading.prepared import MAX_VOXELS_PER_CLASS, prepared_arrays, write_arrays


def test_positions_of_each_class_are_stored_and_a_large_class_is_thinned_out(tmp_path: Path) -> None:
    label = np.zeros((1, 30, 30, 30), np.int64)
    label[0, :20] = 1
    label[0, 25, 3, 4] = 200
    arrays = prepared_arrays({"image": np.ones((2, 30, 30, 30)), "label": label}, ("image", "label"))
    assert (arrays["image"].dtype, arrays["label"].dtype) == (np.float32, np.uint8)
    content = json.loads(json.dumps(write_arrays(tmp_path, arrays, ignore_index=None, seed=1)))
    voxels = np.load(tmp_path / "voxels.npy")
    large, small = content["classes"]
    assert (large["index"], large["num_rows"], large["num_voxels"]) == (1, MAX_VOXELS_PER_CLASS, 18_000)
    assert (small["index"], small["first_row"], small["num_rows"]) == (200, MAX_VOXELS_PER_CLASS, 1)
    assert voxels[-1].tolist() == [25, 3, 4]
    assert set(label[0][tuple(voxels[:-1].T)]) == {1}
    assert len(np.unique(voxels, axis=0)) == len(voxels)
    assert sorted(content["stored"]) == ["image.npy", "label.npy", "voxels.npy"]


def test_voxels_to_be_ignored_are_no_place_for_a_patch(tmp_path: Path) -> None:
    label = np.array([0, 1, 2, 2], np.uint8).reshape(1, 4, 1, 1)
    arrays = prepared_arrays({"image": np.ones((1, 4, 1, 1)), "label": label}, ("image", "label"))
    content = write_arrays(tmp_path, arrays, ignore_index=2, seed=1)
    assert [row["index"] for row in content["classes"]] == [1]
