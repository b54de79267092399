"""Training patches by NVIDIA DALI, on GPU or CPU, as the dictionaries that MONAI's trainers expect.

A few threads cut patches out of the mapped arrays ahead of time; DALI enlarges, blurs and shades them, asynchronously
to the training step. The same pipeline serves the whole training and computes ahead across the borders of epochs; its
input depends on epoch and batch number only, so it can begin anywhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import torch
from numpy.typing import NDArray

from ..patch_loader import Batch, PatchLoader
from ..patches import PatchSampler
from ..threads import available_threads
from ..warp import warp_patch
from .inputs import drawn_inputs

# Batches that are cut ahead; with DALI's own queue of 2 enough to bridge a slow read.
READ_AHEAD = 3
# Batches whose arrays DALI may still read: two that it computes ahead, the batch handed out, and the next to hand out.
IN_USE = 4

Sample = tuple[NDArray[Any], ...]


class DaliPatchLoader(PatchLoader):
    """`PatchLoader` over DALI; on a CUDA device DALI runs there too.

    `num_threads` are for reading and for DALI, each; None for the available cores, at most 8.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pipeline: _Pipeline | None = None

    def __iter__(self) -> Iterator[Batch]:
        # a generator: nothing happens before the first batch is requested
        epoch = self.epochs.start()
        pipeline = self._at(epoch)
        try:
            for number in range(len(self)):
                batch = pipeline.next_batch()
                if number + 1 == len(self):
                    self.epochs.finish(epoch)
                self.place = (epoch, number)
                yield self.without_dropped({key: self._place(tensor) for key, tensor in batch.items()}, epoch, number)
        finally:
            self.epochs.finish(epoch)

    def _at(self, epoch: int) -> _Pipeline:
        """A pipeline whose next batch is the first of an epoch: the running pipeline if that is so, else a new one."""
        if self._pipeline is None or self._pipeline.position != (epoch, 0):
            self.close()
            self._pipeline = _Pipeline(
                self.sampler(), self.keys, epoch, self.num_threads or available_threads(), self._device_id()
            )
        return self._pipeline

    def _device_id(self) -> int | None:
        if self.device.type != "cuda":
            return None
        index = cast("int | None", self.device.index)
        return torch.cuda.current_device() if index is None else index

    def _place(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if tensor.device.type == self.device.type else tensor.to(self.device)

    def close(self) -> None:
        """Stop the pipeline and its threads; the next iteration starts another."""
        if self._pipeline is not None:
            self._pipeline.close()
            self._pipeline = None


class _Pipeline:
    """A running DALI pipeline, and which batch it hands out next."""

    def __init__(
        self, sampler: PatchSampler, keys: Sequence[str], epoch: int, num_threads: int, device_id: int | None
    ) -> None:
        from .graph import patch_batches

        settings = sampler.settings
        table: Any = sampler.noise_table()
        if device_id is not None:
            table = torch.from_numpy(table).to(torch.device("cuda", device_id))
        self.position = (epoch, 0)  # the epoch and the number of the batch in it
        self._batches_per_epoch = settings.passes_per_epoch
        self._feed = _Feed(sampler, keys, epoch, num_threads, warps=device_id is None)
        self._batches: Any = patch_batches(
            self._feed,
            keys,
            sampler.channels,
            settings.patch_size,
            table,
            about_mean=settings.augmentation.contrast_about_mean,
            batch_size=settings.patches_per_pass,
            num_threads=num_threads,
            device_id=device_id,
        )

    def next_batch(self) -> Batch:
        batch: Batch = next(self._batches)[0]
        epoch, number = self.position
        self.position = (epoch, number + 1) if number + 1 < self._batches_per_epoch else (epoch + 1, 0)
        return batch

    def close(self) -> None:
        self._feed.close()
        self._batches = None


class _Feed:
    """The source of the pipeline: cuts patches in threads, a few batches ahead, epoch after epoch without end.

    With `warps` it turns and scales them too: on the CPU, DALI takes four times as long for that.
    """

    def __init__(
        self, sampler: PatchSampler, keys: Sequence[str], epoch: int, num_threads: int, *, warps: bool
    ) -> None:
        self._sampler = sampler
        self._keys = tuple(keys)
        self._warps = warps
        self._next = epoch * sampler.settings.passes_per_epoch  # number of the next batch in the row of all epochs
        self._pool = ThreadPoolExecutor(num_threads, thread_name_prefix="patches")
        self._pending: deque[list[Future[Sample]]] = deque()
        self._in_use: deque[list[Sample]] = deque(maxlen=IN_USE)

    def __call__(self) -> tuple[list[NDArray[Any]], ...]:
        while len(self._pending) <= READ_AHEAD:
            self._pending.append(self._begin(self._next))
            self._next += 1
        samples = [future.result() for future in self._pending.popleft()]
        self._in_use.append(samples)  # DALI reads the arrays where they are
        return tuple(map(list, zip(*samples, strict=True)))

    def _begin(self, batch: int) -> list[Future[Sample]]:
        settings = self._sampler.settings
        epoch, number = divmod(batch, settings.passes_per_epoch)
        return [self._pool.submit(self._sample, epoch, position) for position in settings.positions(number)]

    def _sample(self, epoch: int, position: int) -> Sample:
        sampler = self._sampler
        draw = sampler.draw(epoch, position)
        arrays = sampler.read(draw, self._keys)
        if self._warps:
            arrays, draw = warp_patch(arrays, draw, sampler.patch_size)
        return (*arrays.values(), *drawn_inputs(draw, sampler.patch_size))

    def close(self) -> None:
        self._pending.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)
