"""Write down what a training starts from: data, code, packages, device, settings (see ../folds/training_record.py)."""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from ..folds.files import sha256_of, write_json
from ..folds.state import TRAINING, plain
from ..folds.training_record import read_record
from ..loading.cache import ArrayCache, item_id
from ..loading.dataset import CachedDataset
from ..loading.patch_loader import PatchLoader

logger = logging.getLogger(__name__)

# what computes or reads; the versions of others change no weights
PACKAGES = ("torch", "monai", "numpy", "scipy", "pytorch-ignite", "nibabel", "SimpleITK", "nvidia-dali-cuda120")


class TrainingRecord:
    """Leave a record in the fold's work folder when the training starts; a resumed training adds to it.

    It comes after PreparedCases, which prepares the cases and leaves out those that cannot be read.

    Args:
        loader: of the training patches.
        dataset: the validation cases.
        fold_dir: folder of the fold in the work folder.
        settings: what the weights follow from, by name.
        device: where the network is trained.
        rank: of this process; only rank 0 writes.
        world_size: number of processes.
    """

    def __init__(
        self,
        loader: PatchLoader,
        dataset: CachedDataset,
        fold_dir: str,
        settings: Mapping[str, Any],
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.loader = loader
        self.dataset = dataset
        self.fold_dir = Path(fold_dir)
        self.settings = settings
        self.device = torch.device(device)
        self.rank = rank
        self.world_size = world_size

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        if self.rank == 0:
            engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the record."""
        runs = []
        if engine.state.epoch > 0:
            runs = list((read_record(self.fold_dir) or {}).get("runs", []))
        now = {"from_epoch": engine.state.epoch, **machine(self.device, self.world_size)}
        if not runs or {**runs[-1], "from_epoch": now["from_epoch"]} != now:
            runs.append(now)
        content = {
            "data": {
                "training": digests(self.loader.data, self.loader.cache),
                "validation": digests(self.dataset.data, self.dataset.cache),
            },
            "settings": plain(self.settings),
            "scripts_sha256": scripts_digest(),
            "runs": runs,
        }
        self.fold_dir.mkdir(parents=True, exist_ok=True)
        write_json(self.fold_dir / TRAINING, content)


def digests(data: Sequence[Mapping[str, Any]], cache: ArrayCache) -> dict[str, dict[str, list[str]]]:
    """Case -> entry ("image", "label") -> sha256 of each file, of the cases that could be prepared."""
    result = {}
    for item in sorted(data, key=item_id):
        if cache.contains(item):
            result[item_id(item)] = cache.digests(item)
    return result


def machine(device: torch.device, world_size: int) -> dict[str, Any]:
    """What a training runs on, without the name of any machine."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    if device.type == "cuda":
        packages["cuda"] = str(torch.version.cuda)
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type} ({platform.machine()})"
    return {"device": name, "processes": world_size, "python": platform.python_version(), "packages": packages}


def scripts_digest() -> str:
    """The sha256 of what `sha256sum` says of the Python files of scripts/, sorted by path.

    `cd scripts; find * -name '*.py' | LC_ALL=C sort | xargs sha256sum | sha256sum` prints the same.
    """
    root = Path(__file__).resolve().parents[1]
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        whole.update(f"{sha256_of(path)}  {path.relative_to(root).as_posix()}\n".encode())
    return whole.hexdigest()
