"""Train several folds at the same time, each in processes of its own, on devices or cores of its own."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Queue
from typing import Any

from tqdm import tqdm

from mist_bundle.bundle.folder import Bundle
from mist_bundle.bundle.launch import TRAINING, WorkflowFailed, run_workflow
from mist_bundle.bundle.placement import Placement
from mist_bundle.errors import CaseFailure, Problem

_POLL_SECONDS = 2.0


def train_side_by_side(
    bundle: Path, folds: Sequence[int], overrides: Mapping[str, Any], placement: Placement, parallel: int
) -> None:
    """Train folds, `parallel` of them at a time, with a display of the progress of all of them.

    Args:
        bundle: its folder.
        folds: which.
        overrides: ids of train.json, for every fold.
        placement: of a single fold; GPUs are shared out over the folds at a time, and so are the cores of a CPU.
        parallel: folds at a time.

    Raises:
        CaseFailure: naming every fold whose training failed; the others were trained.
    """
    free: Queue[Placement] = Queue()
    for part in split(placement, min(parallel, len(folds))):
        free.put(part)
    problems: list[Problem] = []

    def train(fold: int) -> None:
        place = free.get()
        try:
            run_workflow(bundle, TRAINING, {"fold": fold, **overrides}, place)
        except WorkflowFailed as failure:
            problems.append(Problem(f"fold {fold}", str(failure)))
        finally:
            free.put(place)

    with ThreadPoolExecutor(free.qsize()) as pool, _progress(bundle, folds):
        list(pool.map(train, folds))
    if problems:
        raise CaseFailure(sorted(problems, key=str), len(folds), "trainings")


def split(placement: Placement, parts: int) -> list[Placement]:
    """Placements with the devices shared out evenly; on CPUs each has its part of the cores.

    There are fewer than `parts` where there are fewer devices.
    """
    if placement.devices is None:
        threads = max(1, (os.cpu_count() or 1) // (parts * placement.processes))
        return [replace(placement, threads=threads)] * parts
    parts = min(parts, len(placement.devices))
    share = len(placement.devices) // parts
    placements = []
    for number in range(parts):
        devices = placement.devices[number * share : (number + 1) * share]
        placements.append(replace(placement, devices=devices, processes=share))
    return placements


@contextmanager
def _progress(bundle: Path, folds: Sequence[int]) -> Iterator[None]:
    """A bar over the epochs of all folds, where a terminal watches."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(bundle, folds, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _watch(bundle: Path, folds: Sequence[int], ended: threading.Event) -> None:
    opened = Bundle(bundle)
    with tqdm(total=0, desc="epochs of all folds", file=sys.stderr) as bar:
        while not ended.wait(_POLL_SECONDS):
            total, finished, epochs = 0, 0, []
            for fold in folds:
                status = opened.fold(fold).status or {}
                total = max(total, int(status.get("epochs", 0)))
                finished += int(status.get("epoch", 0))
                epochs.append(f"fold {fold}: {status.get('epoch', 0)}")
            bar.total = total * len(folds)
            bar.n = finished
            bar.set_postfix_str(", ".join(epochs))
            bar.refresh()
