"""Torch's loader: plain dictionaries, epochs, workers, resuming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mist_bundle.runtime.loading.patch_loader import PatchLoader
from mist_bundle.runtime.loading.select import patch_loader

from .synthetic import array_cache, array_items, coordinate_case, random_case

Batch = dict[str, torch.Tensor]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    items = array_items(tmp_path / "raw", {f"c{number}": random_case(number, (12, 10, 11), 2) for number in range(3)})
    made = []

    def build(**options: Any) -> PatchLoader:
        options.setdefault("num_threads", 0)
        settings = {"patch_size": (8, 8, 6), "batch_size": 2, "steps_per_epoch": 3, "seed": 1}
        loader = patch_loader(items, array_cache(tmp_path / "cache"), loader="torch", **settings | options)
        made.append(loader)
        return loader

    yield build
    for loader in made:
        loader.close()


def assert_equal(one: list[Batch], two: list[Batch]) -> None:
    assert len(one) == len(two)
    for first, second in zip(one, two, strict=True):
        assert first.keys() == second.keys()
        for key in first:
            torch.testing.assert_close(first[key], second[key], rtol=0, atol=0)


def test_batches_are_plain_dictionaries(make: Any) -> None:
    loader = make()
    batches = list(loader)
    assert len(batches) == len(loader) == 3
    for batch in batches:
        assert {key: (tuple(value.shape), value.dtype) for key, value in batch.items()} == {
            "image": ((2, 2, 8, 8, 6), torch.float32),
            "label": ((2, 1, 8, 8, 6), torch.uint8),
        }


def test_an_epoch_does_not_depend_on_what_came_before(make: Any) -> None:
    loader = make()
    epochs = [list(loader) for _ in range(3)]
    resumed = make()
    resumed.load_state_dict({"epoch": 1})
    assert_equal(list(resumed), epochs[1])
    assert resumed.state_dict() == {"epoch": 2}
    assert_equal(list(resumed), epochs[2])
    resumed.set_epoch(0)
    assert_equal(list(resumed), epochs[0])
    assert not torch.equal(epochs[0][0]["image"], epochs[1][0]["image"])


def test_workers_change_nothing_and_live_on(make: Any) -> None:
    alone, helped = make(), make(num_threads=2)
    for _ in range(2):
        assert_equal(list(helped), list(alone))
        workers = [worker.pid for worker in helped._loader._iterator._workers]
    next(iter(helped))  # broken off
    next(iter(alone))
    assert_equal(list(helped), list(alone))
    assert [worker.pid for worker in helped._loader._iterator._workers] == workers


def test_torchs_and_numpys_random_states_are_left_alone(make: Any) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    list(make(num_threads=1))
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_image_label_and_distance_map_stay_together(tmp_path: Path) -> None:
    """Each voxel holds its own coordinates, so that label and map can be computed from the image, however mirrored."""
    shape = (13, 11, 12)
    items = array_items(tmp_path / "raw", {"a": coordinate_case(shape)})
    quiet = {f"{name}_probability": 0 for name in ("noise", "blur", "brightness", "contrast")}
    loader = patch_loader(
        items,
        array_cache(tmp_path / "cache", ("image", "label", "dtm")),
        loader="torch",
        num_threads=0,
        patch_size=(6, 7, 5),
        batch_size=4,
        steps_per_epoch=20,
        augmentation=quiet,
    )
    seen = set()
    for batch in loader:
        for image, label, dtm in zip(batch["image"].numpy(), batch["label"].numpy(), batch["dtm"].numpy(), strict=True):
            position = np.ravel_multi_index(tuple(image.astype(np.int64)), shape)
            np.testing.assert_array_equal(label[0], position % 251)
            np.testing.assert_array_equal(dtm, image * 2 + 1)
            steps = [np.unique(np.diff(image[axis], axis=axis)) for axis in range(3)]
            assert all(len(step) == 1 and abs(step[0]) == 1 for step in steps)
            seen.add(tuple(float(step[0]) for step in steps))
    assert len(seen) == 8  # every combination of mirrored axes


def test_zoom_enlarges_label_and_image_alike(tmp_path: Path) -> None:
    shape = (16, 16, 16)
    image = np.stack(np.meshgrid(*[np.arange(16)] * 3, indexing="ij")).astype(np.float32)
    label = image[:1].astype(np.uint8)  # the class is the X coordinate
    items = array_items(tmp_path / "raw", {"a": {"image": image, "label": label}})
    loader = patch_loader(
        items,
        array_cache(tmp_path / "cache"),
        loader="torch",
        num_threads=0,
        patch_size=(10, 10, 10),
        batch_size=4,
        steps_per_epoch=5,
        augmentation={"zoom_probability": 1.0, "zoom_range": [0.6, 0.6]}
        | {f"{name}_probability": 0 for name in ("noise", "blur", "brightness", "contrast")},
    )
    assert shape[0] > 10
    for batch in loader:
        x, classes = batch["image"][:, 0].numpy(), batch["label"][:, 0].numpy()
        # six voxels became ten; in the interior image and nearest label differ by half a voxel at most
        assert np.abs(x - classes)[:, 2:-2].max() <= 0.5 + 1e-4
        assert np.all(x.max(axis=(1, 2, 3)) - x.min(axis=(1, 2, 3)) < 6.2)
        assert np.all(np.ptp(classes.reshape(4, -1), axis=1) == 5)


def test_making_one_touches_nothing(tmp_path: Path) -> None:
    items = [{"id": "a", "image": ["/absent.nii"], "label": "/absent_too.nii"}]
    loader = patch_loader(items, array_cache(tmp_path / "cache"), loader="torch", num_threads=0, patch_size=(8, 8, 8))
    assert len(loader) == 1
    assert loader.dataset.data == items
    iterator = iter(loader)
    assert not (tmp_path / "cache").exists()
    with pytest.raises(RuntimeError, match="a: FileNotFoundError"):
        next(iterator)
