"""Patches per second of the training loaders, over synthetic cases in the cache: what training waits for, alone.

    scripts/benchmark loader [--seconds 10] [--loader dali] [--augmentation mist] [--output loader.json]

Cases are random volumes in a temporary folder, prepared beforehand; the first batches are not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.catalog.augmentations import AUGMENTATIONS, FOREGROUND_PROBABILITY, augmentation
from mist_bundle.runtime.loading.cache import ArrayCache
from mist_bundle.runtime.loading.select import patch_loader

# patch, channels, shape of the cases
WORK: tuple[tuple[tuple[int, int, int], int, tuple[int, int, int]], ...] = (
    ((32, 32, 32), 1, (40, 56, 40)),
    ((40, 56, 40), 1, (40, 56, 40)),
    ((96, 96, 96), 2, (160, 192, 144)),
    ((128, 128, 128), 2, (160, 192, 144)),
)
NUM_CASES = 4
BATCH_SIZE = 2
WARM_UP = 6  # batches, which fill the queues


class ReadArrays:
    """The preprocessing: none."""

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Read the arrays."""
        return {**item, "image": np.load(item["image"]), "label": np.load(item["label"])}


def make_cases(folder: Path, channels: int, shape: Sequence[int]) -> list[dict[str, Any]]:
    """Random images with a block of each of two classes."""
    folder.mkdir()
    items = []
    for number in range(NUM_CASES):
        rng = np.random.default_rng(number)
        label = np.zeros((1, *shape), np.uint8)
        label[0, 5:20, 5:20, 5:20] = 1
        label[0, 20:30, 20:30, 20:30] = 2
        paths = {"image": folder / f"{number}_image.npy", "label": folder / f"{number}_label.npy"}
        np.save(paths["image"], rng.standard_normal((channels, *shape), dtype=np.float32))
        np.save(paths["label"], label)
        items.append({"id": str(number), **{key: str(path) for key, path in paths.items()}})
    return items


def measure(loader: Any, seconds: float) -> dict[str, float]:
    """Iterate for a while; patches a second, and milliseconds of all processors together for a patch."""
    batches = iter(loader)
    for _ in range(WARM_UP):
        next(batches)
    begin, processors, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < seconds:
        count += len(next(batches)["image"])
    wall, busy = time.perf_counter() - begin, time.process_time() - processors
    return {"patches_per_second": round(count / wall, 1), "processor_ms_per_patch": round(1000 * busy / count, 2)}


def main() -> None:
    """Print a line for each patch size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of measuring, for each patch size")
    parser.add_argument("--loader", choices=("dali", "torch"), default="dali")
    parser.add_argument("--augmentation", choices=sorted(AUGMENTATIONS), default="mist")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", type=int, help="patch sizes whose first axis has so many voxels")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (patch_size, channels, shape) in enumerate(WORK):
            if options.only not in (None, patch_size[0]):
                continue
            items = make_cases(Path(folder) / f"raw{number}", channels, shape)
            loader = patch_loader(
                data=items,
                cache=ArrayCache(Path(folder) / "cache", ReadArrays(), progress=False),
                patch_size=patch_size,
                batch_size=BATCH_SIZE,
                steps_per_epoch=1_000_000,
                augmentation=augmentation(options.augmentation, (0, 1, 2), (1.0, 1.0, 1.0)),
                foreground_probability=FOREGROUND_PROBABILITY,
                device=options.device,
                loader=options.loader,
                num_threads=options.threads,
            )
            name = f"{'x'.join(map(str, patch_size))} x{channels}"
            figures[name] = measure(loader, options.seconds)
            loader.close()
            rate, cost = figures[name].values()
            sys.stdout.write(f"{name:<18} {rate:9.1f} patches/s {cost:8.2f} ms of processors a patch\n")
    if options.output is not None:
        options.output.write_text(json.dumps({**vars(options), "figures": figures}, default=str, indent=2) + "\n")


if __name__ == "__main__":
    main()
