"""Training patches by torch's DataLoader: the same patches and augmentations where DALI is not available."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from .numpy_operations import apply_draw
from .patch_loader import Batch, PatchLoader
from .patches import PatchSampler
from .settings import PatchSettings


class TorchPatchLoader(PatchLoader):
    """`PatchLoader` over torch's DataLoader; `num_threads` are its worker processes, None or 0 for none.

    The workers live as long as the loader: starting them for each epoch costs more than short epochs do.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._numbers = _BatchNumbers(self.settings)
        self._loader: DataLoader[Batch] | None = None

    def __iter__(self) -> Iterator[Batch]:
        # a generator: nothing happens before the first batch is requested
        loader = self._torch_loader()
        epoch = self.epochs.start()
        self._numbers.epoch = epoch
        try:
            for number, batch in enumerate(loader):
                if number + 1 == len(self):
                    self.epochs.finish(epoch)
                self.place = (epoch, number)
                placed = {key: tensor.to(self.device, non_blocking=True) for key, tensor in batch.items()}
                yield self.without_dropped(placed, epoch, number)
        finally:
            self.epochs.finish(epoch)

    def _torch_loader(self) -> DataLoader[Batch]:
        if self._loader is None:
            workers = self.num_threads or 0
            self._loader = DataLoader(
                _Patches(self.sampler(), self.keys),
                batch_sampler=self._numbers,
                num_workers=workers,
                persistent_workers=workers > 0,
                pin_memory=self.device.type == "cuda",
                generator=torch.Generator(),  # torch's global random state stays as it is
            )
        return self._loader

    def close(self) -> None:
        """Stop the worker processes."""
        self._loader = None


class _BatchNumbers(Sampler[list[int]]):
    """The patches of this process in an endless row of all epochs: the epoch travels to the workers in the number."""

    def __init__(self, settings: PatchSettings) -> None:
        self.epoch = 0
        self._settings = settings

    def __iter__(self) -> Iterator[list[int]]:
        first = self.epoch * self._settings.patches_per_epoch
        for number in range(len(self)):
            yield [first + position for position in self._settings.positions(number)]

    def __len__(self) -> int:
        return self._settings.passes_per_epoch


class _Patches(Dataset[Batch]):
    """Patch number n of the endless row."""

    def __init__(self, sampler: PatchSampler, keys: Sequence[str]) -> None:
        self._sampler = sampler
        self._keys = tuple(keys)

    def __getitem__(self, number: int) -> Batch:
        sampler = self._sampler
        draw = sampler.draw(*divmod(number, sampler.settings.patches_per_epoch))
        arrays = sampler.read(draw, self._keys)
        patch = apply_draw(arrays, draw, sampler.patch_size, sampler.noise(draw))
        tensors = {}
        for key in self._keys:
            tensors[key] = torch.from_numpy(np.ascontiguousarray(patch[key]))
        return tensors
