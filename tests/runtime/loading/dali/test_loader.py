"""DALI's loader: plain dictionaries, epochs, positions, threads, and trainings that are resumed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.engines.trainer import SupervisedTrainer

from mist_bundle.runtime.loading.cache import ArrayCache
from mist_bundle.runtime.loading.select import patch_loader

from ..synthetic import (
    Item,
    array_items,
    coordinate_case,
    nifti_items,
    nifti_transform,
    random_case,
)
from ..test_torch_loader import assert_equal
from .samples import ALWAYS, INTENSITIES, NEVER, make

pytest.importorskip("nvidia.dali", reason="NVIDIA DALI is not installed")


def test_batches_are_plain_dictionaries(folder: Path, items: list[Item]) -> None:
    loader = make(folder, items)
    batches = list(loader)
    assert len(batches) == len(loader) == 4
    for batch in batches:
        assert {key: (type(value), tuple(value.shape), value.dtype) for key, value in batch.items()} == {
            "image": (torch.Tensor, (2, 2, 12, 10, 11), torch.float32),
            "label": (torch.Tensor, (2, 1, 12, 10, 11), torch.uint8),
        }


def test_image_label_and_distance_map_stay_together(tmp_path: Path) -> None:
    shape = (13, 11, 12)
    items = array_items(tmp_path / "raw", {"a": coordinate_case(shape)})
    quiet = {f"{name}_probability": 0 for name in INTENSITIES}
    keys = ("image", "label", "dtm")
    loader = make(tmp_path, items, keys=keys, augmentation=quiet, patch_size=(6, 7, 5), steps_per_epoch=12)
    mirrored = set()
    for batch in loader:
        for image, label, dtm in zip(batch["image"].numpy(), batch["label"].numpy(), batch["dtm"].numpy(), strict=True):
            position = np.ravel_multi_index(tuple(image.astype(np.int64)), shape)
            np.testing.assert_array_equal(label[0], position % 251)
            np.testing.assert_array_equal(dtm, image * 2 + 1)
            mirrored.add(tuple(float(image[axis].flat[0] > image[axis].flat[-1]) for axis in range(3)))
    assert len(mirrored) > 4


def test_optional_channels_are_dropped_alike_by_both_loaders(folder: Path, items: list[Item]) -> None:
    dropping = {**ALWAYS, "optional_channels": [1], "channel_drop_probability": 0.5}
    plain = [batch["image"].clone() for batch in make(folder, items, augmentation=ALWAYS)]
    counts = [0, 0]
    for kind in ("dali", "torch"):
        loader = make(folder, items, kind, augmentation=dropping)
        for number, batch in enumerate(loader):
            for place, patch in enumerate(batch["image"]):
                dropped = not patch[1].any()
                counts[kind == "torch"] += dropped
                if kind == "dali":
                    torch.testing.assert_close(patch[0], plain[number][place][0])
                    if not dropped:
                        torch.testing.assert_close(patch[1], plain[number][place][1])
                position = loader.settings.positions(number)[place]
                assert dropped == (loader.sampler().dropped(0, position) == (1,))
    assert counts[0] == counts[1] > 0
    assert counts[0] < len(plain) * len(plain[0])


def test_patches_larger_than_the_volume_and_many_classes(tmp_path: Path) -> None:
    label = np.arange(300, dtype=np.int16).reshape(1, 10, 6, 5)
    image = np.random.default_rng(0).standard_normal((1, 10, 6, 5)).astype(np.float32)
    items = array_items(tmp_path / "raw", {"a": {"image": image, "label": label}})
    (batch,) = make(tmp_path, items, patch_size=(16, 6, 8), batch_size=1, steps_per_epoch=1, augmentation=NEVER)
    assert batch["label"].dtype == torch.int16
    np.testing.assert_array_equal(batch["label"][0, 0].numpy(), np.pad(label[0], [(3, 3), (0, 0), (1, 2)]))
    np.testing.assert_array_equal(batch["image"][0, 0].numpy(), np.pad(image[0], [(3, 3), (0, 0), (1, 2)]))


def test_a_batch_may_mix_cases_of_any_size_and_case_without_foreground(tmp_path: Path) -> None:
    cases = {f"c{size}": random_case(size, (size, size + 3, 2 * size)) for size in (4, 9, 20)}
    cases["empty"] = {"image": np.ones((1, 6, 6, 6), np.float32), "label": np.zeros((1, 6, 6, 6), np.uint8)}
    items = array_items(tmp_path / "raw", cases)
    for kind in ("dali", "torch"):
        loader = make(tmp_path, items, kind, patch_size=(8, 8, 8), batch_size=4, augmentation=ALWAYS)
        assert all(batch["image"].isfinite().all() for batch in loader)


# --- order and resume -------------------------------------------------------------------------------------------------


def test_an_epoch_does_not_depend_on_what_came_before(folder: Path, items: list[Item]) -> None:
    """With everything drawn, noise included."""
    loader = make(folder, items, augmentation=ALWAYS)
    epochs = [list(loader) for _ in range(3)]
    resumed = make(folder, items, augmentation=ALWAYS)
    resumed.load_state_dict({"epoch": 1})
    assert_equal(list(resumed), epochs[1])
    assert_equal(list(resumed), epochs[2])
    resumed.set_epoch(0)
    assert_equal(list(resumed), epochs[0])
    assert not torch.equal(epochs[0][0]["image"], epochs[1][0]["image"])


@pytest.mark.parametrize("num_threads", [1, 4])
def test_threads_change_nothing(folder: Path, items: list[Item], num_threads: int) -> None:
    one = make(folder, items, augmentation=ALWAYS, num_threads=num_threads)
    assert_equal(list(one), list(make(folder, items, augmentation=ALWAYS)))


def test_the_batch_size_does_not_change_the_patches(folder: Path, items: list[Item]) -> None:
    small = make(folder, items, batch_size=1, steps_per_epoch=8)
    large = make(folder, items, batch_size=4, steps_per_epoch=2)
    assert torch.equal(torch.cat([b["image"] for b in small]), torch.cat([b["image"] for b in large]))


@pytest.mark.parametrize("accumulation_steps", [1, 2, 4])
def test_ranks_and_passes_share_the_patches_of_each_step(
    folder: Path, items: list[Item], accumulation_steps: int
) -> None:
    settings = {"batch_size": 4, "steps_per_epoch": 3, "accumulation_steps": accumulation_steps}
    alone = list(make(folder, items, batch_size=4, steps_per_epoch=3))
    pair = [list(make(folder, items, **settings, rank=rank, world_size=2)) for rank in range(2)]
    passes = max(1, accumulation_steps // 2)
    for step in range(3):
        batches = [batch for row in pair for batch in row[step * passes : (step + 1) * passes]]
        assert torch.equal(torch.cat([batch["image"] for batch in batches]), alone[step]["image"])


def test_one_pipeline_serves_all_epochs(folder: Path, items: list[Item]) -> None:
    loader = make(folder, items)
    list(loader)
    first = loader._pipeline
    list(loader)
    assert loader._pipeline is first
    loader.set_epoch(7)  # elsewhere: begun anew
    list(loader)
    assert loader._pipeline is not first
    loader.close()


def test_the_position_is_saved_between_and_within_epochs(folder: Path, items: list[Item]) -> None:
    loader = make(folder, items)
    assert loader.state_dict() == {"epoch": 0}
    for step, _ in enumerate(loader, start=1):
        assert loader.state_dict() == {"epoch": 0 if step < 4 else 1}
    assert loader.state_dict() == {"epoch": 1}


def test_an_iteration_broken_off_leaves_no_thread_and_goes_on_with_the_next_epoch(
    folder: Path, items: list[Item]
) -> None:
    reference = make(folder, items)
    list(reference)
    second = list(reference)
    before = threading.active_count()
    loader = make(folder, items)
    for _ in loader:
        break
    assert loader.state_dict() == {"epoch": 1}
    assert_equal(list(loader), second)
    kept = iter(loader)
    next(kept)
    loader.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_batches_that_are_kept_are_not_overwritten(folder: Path, items: list[Item]) -> None:
    loader = make(folder, items, steps_per_epoch=12)
    kept, copies = [], []
    for batch in loader:
        kept.append(batch)
        copies.append({key: value.clone() for key, value in batch.items()})
    for _ in loader:
        pass
    assert_equal(kept, copies)


def test_cases_that_cannot_be_read_are_left_out_by_name_unless_none_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    items = array_items(tmp_path / "raw", {"good": random_case(0, (9, 9, 9)), "bad": random_case(1, (9, 9, 9))})
    Path(items[1]["label"]).write_bytes(b"nothing that numpy knows")
    loader = make(tmp_path, items)
    assert len(list(loader)) == len(loader) == 4
    assert loader.case_names(0, 0) == ["good", "good"]
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("warning: bad: left out of the training: ValueError: ")
    assert items[1]["label"] in first
    assert second == "warning: training: 1 of 2 cases are left out."
    Path(items[0]["image"][0]).unlink()
    with pytest.raises(RuntimeError, match="2 of 2 cases could not be preprocessed:\n  bad: "):
        next(iter(make(tmp_path, items)))


# --- in MONAI's trainer -----------------------------------------------------------------------------------------------


def train(folder: Path, items: list[Item], epochs: int, state: dict[str, Any] | None = None, **options: Any) -> Any:
    """Train a small network; give back the weights, the loader's position after each epoch and all first voxels."""
    torch.manual_seed(0)
    network = torch.nn.Conv3d(2, 3, 3, padding=1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loader = make(folder, items)
    if state is not None:
        network.load_state_dict(state["network"])
        loader.load_state_dict(state["loader"])
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=loader,
        network=network,
        optimizer=optimizer,
        loss_function=lambda pred, label: torch.nn.functional.cross_entropy(pred, label[:, 0].long()),
        decollate=False,
        **options,
    )
    seen: list[float] = []
    positions: list[dict[str, int]] = []
    trainer.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: seen.append(float(engine.state.batch["image"].sum()))
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: positions.append(loader.state_dict()))
    if state is not None:
        trainer.state.epoch = state["loader"]["epoch"]
        trainer.state.iteration = state["loader"]["epoch"] * len(loader)
    trainer.run()
    return {"network": network.state_dict(), "loader": loader.state_dict()}, positions, seen


def test_a_training_that_was_resumed_ends_with_the_same_weights(folder: Path, items: list[Item]) -> None:
    whole, positions, seen = train(folder, items, 4)
    assert positions == [{"epoch": epoch} for epoch in (1, 2, 3, 4)]
    assert len(set(seen)) == 16
    half, _, first = train(folder, items, 2)
    end, _, second = train(folder, items, 4, half)
    assert first + second == seen
    for name, value in whole["network"].items():
        assert torch.equal(value, end["network"][name])


@pytest.mark.parametrize("epoch_length", [3, 6])
def test_epochs_of_another_length_see_no_patch_twice(folder: Path, items: list[Item], epoch_length: int) -> None:
    _, _, seen = train(folder, items, 4, epoch_length=epoch_length)
    assert len(set(seen)) == len(seen) == 4 * epoch_length


def test_as_a_bundles_scripts_from_a_config_without_this_package(tmp_path: Path) -> None:
    """The folder travels under another name; nothing is imported or read before the first batch."""
    root = Path(__file__).resolve().parents[4]
    shutil.copytree(
        root / "mist_bundle" / "runtime", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__")
    )
    items = nifti_items(tmp_path / "raw", 2)
    (tmp_path / "run.py").write_text(BUNDLE.format(items=items), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    cache = ArrayCache(tmp_path / "cache", nifti_transform(), progress=False)
    # what the bundle cached is found by the package, too
    assert all(cache.contains(item) for item in items)


BUNDLE = """
import sys
from monai.bundle.config_parser import ConfigParser

parser = ConfigParser({{
    "imports": ["$import torch"],
    "data": {items!r},
    "device": "$torch.device('cpu')",
    "preprocessing": {{"_target_": "Compose", "transforms": [
        {{"_target_": "LoadImaged", "keys": ["image", "label"], "ensure_channel_first": True}}]}},
    "cache": {{"_target_": "scripts.loading.cache.ArrayCache", "folder": "cache", "transform": "@preprocessing"}},
    "loader": {{"_target_": "scripts.loading.select.patch_loader", "data": "@data", "cache": "@cache",
               "patch_size": [8, 8, 8], "device": "@device", "augmentation": {{"flip_axes": [0]}}, "loader": "dali"}},
}})
loader = parser.get_parsed_content("loader")
assert len(loader) == 1
assert not any(name.startswith("nvidia.dali") for name in sys.modules)
assert not any(name.startswith("mist_bundle") for name in sys.modules)
(batch,) = loader
assert tuple(batch["image"].shape) == (2, 2, 8, 8, 8)
assert "nvidia.dali" in sys.modules
assert not any(name.startswith("mist_bundle") for name in sys.modules)
"""


# --- hippocampus ------------------------------------------------------------------------------------------------------


def test_hippocampus_patches_are_pieces_of_the_volumes(hippocampus_dir: Path, tmp_path: Path) -> None:
    images = sorted((hippocampus_dir / "imagesTr").glob("hippocampus_*.nii.gz"))[:4]
    items = [
        {"id": path.name, "image": [str(path)], "label": str(hippocampus_dir / "labelsTr" / path.name)}
        for path in images
    ]
    transform = nifti_transform()
    loader = patch_loader(
        items,
        ArrayCache(tmp_path / "cache", transform, progress=False),
        loader="dali",
        patch_size=(24, 24, 24),
        batch_size=4,
        steps_per_epoch=5,
        augmentation={"enabled": False},
    )
    sampler = loader.sampler()
    volumes = [transform(item) for item in items]
    holding = 0
    for step, batch in enumerate(loader):
        for number in range(4):
            draw = sampler.draw(0, 4 * step + number)
            box = (slice(None), *(slice(start, start + 24) for start in draw.start))
            for key in ("image", "label"):
                np.testing.assert_array_equal(batch[key][number].numpy(), volumes[draw.case][key].numpy()[box])
            holding += bool(batch["label"][number].any())
    assert holding >= 12
