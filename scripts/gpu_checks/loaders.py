"""DALI on the device against torch's loader: the same patches, and how many in a second."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from bench import Bench, Figures
from benchmark_loader import ReadArrays, make_cases

from mist_bundle.catalog.augmentations import FOREGROUND_PROBABILITY, augmentation
from mist_bundle.runtime.loading.cache import ArrayCache
from mist_bundle.runtime.loading.select import dali_installed, patch_loader

CHANNELS = 2
COMPARED = 4  # batches


def check(bench: Bench) -> None:
    """Report both loaders and how their patches differ."""
    items = make_cases(bench.folder / "raw", CHANNELS, tuple(length + 32 for length in bench.scale.patch))
    names = ["torch"]
    if dali_installed():
        names.insert(0, "dali")
        bench.attempt("patches of DALI and torch", partial(compare, bench, items), 10.0 if bench.on_gpu else 0.0)
    else:
        bench.skip("DALI", "it is not installed here (pip install 'mist-bundle[dali]')")
    for name in names:
        measure = partial(count_patches, bench, name, items)
        bench.attempt(f"loader {name}", measure, 2 * bench.scale.loader_seconds)


def loader_of(bench: Bench, name: str, items: Any) -> Any:
    """A loader with MIST's augmentation, over arrays that are prepared once."""
    return patch_loader(
        data=items,
        cache=ArrayCache(bench.folder / "cache", ReadArrays(), progress=False),
        patch_size=bench.scale.patch,
        batch_size=bench.scale.batch,
        steps_per_epoch=1_000_000,
        augmentation=augmentation("mist", (0, 1, 2), (1.0, 1.0, 1.0)),
        foreground_probability=FOREGROUND_PROBABILITY,
        device=bench.device,
        loader=name,
    )


def compare(bench: Bench, items: Any) -> Figures:
    """Largest and mean difference of the images of the first batches, and the share of labels that agree."""
    batches = {name: first_batches(bench, name, items) for name in ("dali", "torch")}
    differences, agreeing = [], []
    for ours, theirs in zip(batches["dali"], batches["torch"], strict=True):
        differences.append((ours["image"] - theirs["image"]).abs())
        agreeing.append((ours["label"] == theirs["label"]).float())
    difference, labels = torch.stack(differences), torch.stack(agreeing)
    return {
        "patches": COMPARED * bench.scale.batch,
        "largest difference": float(f"{difference.max().item():.2g}"),
        "mean difference": float(f"{difference.mean().item():.2g}"),
        "equal labels": round(labels.mean().item(), 6),
    }


def first_batches(bench: Bench, name: str, items: Any) -> list[dict[str, torch.Tensor]]:
    """The first batches of a loader, in main memory."""
    loader = loader_of(bench, name, items)
    batches = iter(loader)
    found = []
    for _ in range(COMPARED):
        batch = next(batches)
        found.append({key: tensor.cpu() for key, tensor in batch.items()})
    loader.close()
    return found


def count_patches(bench: Bench, name: str, items: Any) -> Figures:
    """Patches a second on the device, with nothing else to do."""
    loader = loader_of(bench, name, items)
    batches = iter(loader)
    for _ in range(bench.scale.warm_up):
        next(batches)
    bench.synchronize()
    begun, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - begun < bench.scale.loader_seconds:
        count += len(next(batches)["image"])
    bench.synchronize()
    seconds = time.perf_counter() - begun
    loader.close()
    return {"patches/s": round(count / seconds, 2)}
