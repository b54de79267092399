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


def test_instances_have_the_same_number_of_rows_however_small(tmp_path: Path) -> None:
    label = np.zeros((1, 40, 40, 40), np.uint8)
    label[0, 2:22, 2:22, 2:22] = 1
    label[0, 30, 30, 30] = 1
    label[0, 36:38, 5, 5] = 1
    label[0, 38, 6, 6] = 1  # touches the one before by a corner
    label[0, 35, 35, 35] = 2
    arrays = prepared_arrays({"image": np.ones((1, 40, 40, 40)), "label": label}, ("image", "label"))
    content = write_arrays(tmp_path, arrays, ignore_index=None, seed=1, balance_instances=True)
    first, second = content["classes"]
    voxels = np.load(tmp_path / "voxels.npy")[: first["num_rows"]]
    assert (first["num_voxels"], second["num_rows"]) == (8004, 1)
    assert set(label[0][tuple(voxels.T)]) == {1}
    large = int((voxels < 25).all(axis=1).sum())
    single = int((voxels == 30).all(axis=1).sum())
    assert large == single == first["num_rows"] // 3
    assert first["num_rows"] <= MAX_VOXELS_PER_CLASS


def test_without_several_instances_balancing_changes_nothing(tmp_path: Path) -> None:
    label = np.zeros((1, 12, 12, 12), np.uint8)
    label[0, 2:8, 2:8, 2:8] = 1
    arrays = prepared_arrays({"image": np.ones((1, 12, 12, 12)), "label": label}, ("image", "label"))
    stored = []
    for balance in (False, True):
        write_arrays(tmp_path, arrays, ignore_index=None, seed=1, balance_instances=balance)
        stored.append(np.load(tmp_path / "voxels.npy"))
    np.testing.assert_array_equal(*stored)


def test_more_instances_than_rows_are_drawn_from(tmp_path: Path) -> None:
    label = np.zeros((1, 50, 50, 50), np.uint8)
    label[0, ::2, ::2, ::2] = 1  # 15625 single voxels
    arrays = prepared_arrays({"image": np.ones((1, 50, 50, 50)), "label": label}, ("image", "label"))
    (row,) = write_arrays(tmp_path, arrays, ignore_index=None, seed=1, balance_instances=True)["classes"]
    voxels = np.load(tmp_path / "voxels.npy")
    assert row["num_rows"] == len(np.unique(voxels, axis=0)) == MAX_VOXELS_PER_CLASS
