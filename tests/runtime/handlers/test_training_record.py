"""The record of a training: what was read, by which code and packages, on which device."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Engine

from mist_bundle.bundle.vendor import copy_runtime
from mist_bundle.runtime.folds.state import TRAINING, state_files
from mist_bundle.runtime.handlers import training_record
from mist_bundle.runtime.handlers.training_record import TrainingRecord, scripts_digest
from mist_bundle.runtime.loading.dataset import CachedDataset
from mist_bundle.runtime.loading.select import patch_loader
from tests.runtime.loading.synthetic import array_cache, array_items, random_case

SETTINGS = {"seed": 3, "patch_size": (4, 4, 4)}


def _handler(folder: Path, broken: str = "", **options: Any) -> TrainingRecord:
    names = ("a", "b", "c", "d")
    items = array_items(folder / "raw", {name: random_case(number, (9, 9, 9)) for number, name in enumerate(names)})
    for item in items:
        if item["id"] == broken:
            Path(item["label"]).write_bytes(b"broken")
    cache = array_cache(folder / "cache")
    dataset = CachedDataset(items[3:], cache)
    loader = patch_loader(items[:3], cache, patch_size=(4, 4, 4), loader="torch", num_threads=0)
    cache.build_usable(items)
    return TrainingRecord(loader, dataset, str(folder / "fold_0"), SETTINGS, **options)


def _record(handler: TrainingRecord, epoch: int = 0) -> dict[str, Any]:
    """Start a training, or continue with it after an epoch; its record."""
    engine = Engine(lambda engine, batch: None)
    handler.attach(engine)
    engine.state.epoch, engine.state.iteration, engine.state.max_epochs = epoch, epoch, epoch + 1
    engine.state.epoch_length = 1
    engine.run([0], max_epochs=epoch + 1)
    content: dict[str, Any] = json.loads((handler.fold_dir / TRAINING).read_text())
    return content


def test_it_has_the_hashes_of_what_was_read(tmp_path: Path) -> None:
    record = _record(_handler(tmp_path, broken="b"))
    assert list(record["data"]["training"]) == ["a", "c"], "cases that could not be read were not trained on"
    assert list(record["data"]["validation"]) == ["d"]
    for part in record["data"].values():
        for case, files in part.items():
            for key, (digest,) in files.items():
                assert digest == hashlib.sha256((tmp_path / "raw" / f"{case}_{key}.npy").read_bytes()).hexdigest()


def test_it_says_how_and_on_what(tmp_path: Path) -> None:
    record = _record(_handler(tmp_path, world_size=2))
    (run,) = record["runs"]
    assert (run["from_epoch"], run["processes"], run["python"]) == (0, 2, platform.python_version())
    assert run["device"] == f"cpu ({platform.machine()})"
    assert run["packages"]["torch"] == version("torch")
    assert run["packages"]["monai"] == version("monai")
    assert record["settings"] == {"seed": 3, "patch_size": [4, 4, 4]}


def test_it_names_neither_machine_nor_folder(tmp_path: Path) -> None:
    text = json.dumps(_record(_handler(tmp_path)))
    for word in (str(tmp_path), str(Path.home()), socket.gethostname()):
        assert word not in text


def test_a_resumed_training_adds_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = _handler(tmp_path)
    first = _record(handler)
    assert _record(handler, epoch=2) == first, "it continued as it had begun"
    monkeypatch.setattr(training_record.platform, "python_version", lambda: "3.99.0")
    runs = _record(handler, epoch=4)["runs"]
    assert [(run["from_epoch"], run["python"]) for run in runs] == [(0, first["runs"][0]["python"]), (4, "3.99.0")]
    assert len(_record(handler)["runs"]) == 1, "a new training has a record of its own"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"runs": []}'])
def test_a_damaged_record_does_not_stop_a_resumed_training(content: str, tmp_path: Path) -> None:
    handler = _handler(tmp_path)
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "fold_0" / TRAINING).write_text(content)
    assert [run["from_epoch"] for run in _record(handler, epoch=2)["runs"]] == [2]


def test_prepared_arrays_of_earlier_versions_have_no_hashes_and_are_hashed_now(tmp_path: Path) -> None:
    handler = _handler(tmp_path)
    expected = _record(handler)["data"]
    for entry in (tmp_path / "cache").glob("*/entry.json"):
        content = json.loads(entry.read_text())
        del content["sha256"]
        entry.write_text(json.dumps(content))
    assert _record(handler)["data"] == expected


def test_only_the_first_process_writes_and_the_file_belongs_to_the_training(tmp_path: Path) -> None:
    handler = _handler(tmp_path, rank=1)
    engine = Engine(lambda engine, batch: None)
    handler.attach(engine)
    engine.run([0])
    assert not (tmp_path / "fold_0").exists()
    handler.rank = 0
    _record(handler)
    assert state_files(tmp_path / "fold_0") == [tmp_path / "fold_0" / TRAINING]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="the command sha256sum is not there")
def test_the_hash_of_the_scripts_is_what_the_documented_command_prints(tmp_path: Path) -> None:
    copy_runtime(tmp_path / "scripts")
    command = "find * -name '*.py' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path / "scripts", capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == scripts_digest()
