"""Training patches by NVIDIA DALI, on a GPU or without one, as the dictionaries that MONAI's trainers expect.

A few threads cut patches out of the mapped arrays ahead of time; DALI enlarges, blurs and shades them, asynchronously
to the training step. Every epoch has its own short-lived pipeline, whose input depends on the epoch's number only.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .cache import ArrayCache
from .dali_inputs import drawn_inputs
from .dataset import CachedDataset
from .patches import PatchSampler
from .source import EpochCounter, PatchSource

# Batches that are cut ahead; with DALI's own queue of 2 enough to bridge a slow read.
READ_AHEAD = 3
_NO_NOISE = np.zeros((1, 1, 1, 1), np.float32)

Sample = tuple[NDArray[Any], ...]


class DaliPatchLoader:
    """An endless supply of augmented patches, in epochs of a fixed number of steps.

    Iterating yields {"image": (B, C, X, Y, Z) float32, "label": (B, 1, X, Y, Z) uint8 or int16, ["dtm": float32]}:
    plain tensors on `device`. Epoch n of a loader is the same whatever was iterated before.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        cache: ArrayCache,
        patch_size: Sequence[int],
        batch_size: int = 2,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        device: torch.device | str = "cpu",
        augmentation: Mapping[str, Any] | None = None,
        foreground_probability: float = 0.6,
        num_threads: int | None = None,
    ) -> None:
        """Take and check the settings; data and DALI are touched only when the first batch is asked for.

        Args:
            data: items {"id", "image", "label"} with the raw files' paths.
            cache: where their preprocessed arrays lie or will lie.
            patch_size: X, Y, Z in voxels.
            batch_size: patches a step and process.
            steps_per_epoch: None: as many as show every case once.
            seed: the same on all ranks.
            rank: number of this process.
            world_size: number of processes.
            device: where the tensors shall be; on a CUDA device DALI runs there too.
            augmentation: settings as in `Augmentation`; None or {} for the defaults.
            foreground_probability: share of the patches laid around a labelled voxel.
            num_threads: for reading and for DALI, each; None: the available cores, at most 8.
        """
        self._source = PatchSource(
            data,
            cache,
            patch_size,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            seed=seed,
            rank=rank,
            world_size=world_size,
            augmentation=augmentation,
            foreground_probability=foreground_probability,
        )
        self.dataset = CachedDataset(data, cache)
        self.batch_size = batch_size
        self.device = torch.device(device)
        self._num_threads = num_threads or available_threads()
        self._epochs = EpochCounter()
        self._running: _Feed | None = None

    def __len__(self) -> int:
        """Steps in an epoch, the same on every rank."""
        return self._source.steps_per_epoch

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        # a generator: nothing happens before the first batch is asked for
        from .dali_graph import patch_batches

        sampler = self._source.sampler()
        epoch = self._epochs.start()
        feed = _Feed(sampler, self._source, epoch, self._num_threads)
        self._running = feed
        try:
            batches = patch_batches(
                feed,
                self._source.keys,
                self._source.patch_size,
                about_mean=self._source.augmentation.contrast_about_mean,
                batch_size=self.batch_size,
                num_threads=self._num_threads,
                device_id=self._device_id(),
            )
            for step, output in enumerate(batches, start=1):
                if step == len(self):
                    self._epochs.finish(epoch)
                yield {key: self._place(tensor) for key, tensor in output[0].items()}
        finally:
            self._epochs.finish(epoch)
            feed.close()

    def _device_id(self) -> int | None:
        if self.device.type != "cuda":
            return None
        return torch.cuda.current_device() if str(self.device) == "cuda" else self.device.index

    def _place(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if tensor.device.type == self.device.type else tensor.to(self.device)

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration yield this epoch (counted from 0). Not needed otherwise: epochs follow each other."""
        self._epochs.set(epoch)

    def state_dict(self) -> dict[str, int]:
        """The position: {"epoch": n}. An epoch under way counts as not begun."""
        return self._epochs.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on at a saved position."""
        self._epochs.load_state_dict(state)

    def close(self) -> None:
        """Stop the reading threads of an iteration that was left unfinished."""
        if self._running is not None:
            self._running.close()
            self._running = None


class _Feed:
    """The external source of one epoch's pipeline: cuts patches in threads, a few batches ahead."""

    def __init__(self, sampler: PatchSampler, source: PatchSource, epoch: int, num_threads: int) -> None:
        self._sampler = sampler
        self._keys = source.keys
        self._batch_size = source.batch_size
        self._num_patches = source.steps_per_epoch * source.batch_size
        self._epoch = epoch
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="patches")
        self._pending: deque[Future[Sample]] = deque()
        self._submitted = 0

    def __call__(self) -> tuple[list[NDArray[Any]], ...]:
        while self._submitted < self._num_patches and len(self._pending) < self._batch_size * (READ_AHEAD + 1):
            self._pending.append(self._pool.submit(self._sample, self._submitted))
            self._submitted += 1
        if not self._pending:
            raise StopIteration
        samples = [self._pending.popleft().result() for _ in range(self._batch_size)]
        return tuple(list(column) for column in zip(*samples, strict=True))

    def _sample(self, index: int) -> Sample:
        sampler = self._sampler
        draw = sampler.draw(self._epoch, index)
        arrays = sampler.read(draw, self._keys)
        noise = sampler.noise(draw, arrays["image"].shape[0]) if draw.noise_sd > 0 else _NO_NOISE
        return (*(arrays[key] for key in self._keys), noise, *drawn_inputs(draw, sampler.patch_size))

    def close(self) -> None:
        self._pending.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)


def available_threads(most: int = 8) -> int:
    """The cores that this process may use, at most `most`."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(most, cores))
