"""Training patches by torch's DataLoader: the same patches and augmentations, where DALI is not to be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from .augment import augment_patch
from .cache import ArrayCache
from .dataset import CachedDataset
from .patches import PatchSampler
from .source import EpochCounter, PatchSource

Batch = dict[str, torch.Tensor]


class TorchPatchLoader:
    """An endless supply of augmented patches, in epochs of a fixed number of steps; see `DaliPatchLoader`.

    For equal settings both loaders yield the same batches, up to rounding.
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
        """Take and check the settings; data is touched only when the first batch is asked for.

        Args:
            data: items {"id", "image", "label"} with the raw files' paths.
            cache: where their preprocessed arrays lie or will lie.
            patch_size: X, Y, Z in voxels.
            batch_size: patches a step and process.
            steps_per_epoch: None: as many as show every case once.
            seed: the same on all ranks.
            rank: number of this process.
            world_size: number of processes.
            device: where the tensors shall be.
            augmentation: settings as in `Augmentation`; None or {} for the defaults.
            foreground_probability: share of the patches laid around a labelled voxel.
            num_threads: number of worker processes, which live as long as the loader; None or 0: work in this one.
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
        self._num_workers = num_threads or 0
        self._epochs = EpochCounter()
        self._places = _Places(self._source.steps_per_epoch * batch_size)
        self._loader: DataLoader[Batch] | None = None

    def __len__(self) -> int:
        """Steps in an epoch, the same on every rank."""
        return self._source.steps_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        # a generator: nothing happens before the first batch is asked for
        loader = self._torch_loader()
        epoch = self._epochs.start()
        self._places.epoch = epoch
        try:
            for step, batch in enumerate(loader, start=1):
                if step == len(self):
                    self._epochs.finish(epoch)
                yield {key: tensor.to(self.device, non_blocking=True) for key, tensor in batch.items()}
        finally:
            self._epochs.finish(epoch)

    def _torch_loader(self) -> DataLoader[Batch]:
        if self._loader is None:
            self._loader = DataLoader(
                _Patches(self._source.sampler(), self._source.keys),
                batch_size=self.batch_size,
                sampler=self._places,
                num_workers=self._num_workers,
                persistent_workers=self._num_workers > 0,  # forking anew each epoch costs more than short epochs do
                pin_memory=self.device.type == "cuda",
                generator=torch.Generator(),  # torch's global random state stays as it is
            )
        return self._loader

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
        """Let the worker processes go."""
        self._loader = None


class _Places(Sampler[int]):
    """The numbers of one epoch's patches in an endless row: the epoch travels to the workers within the number."""

    def __init__(self, patches_per_epoch: int) -> None:
        self.epoch = 0
        self._patches_per_epoch = patches_per_epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self._patches_per_epoch
        return iter(range(first, first + self._patches_per_epoch))

    def __len__(self) -> int:
        return self._patches_per_epoch


class _Patches(Dataset[Batch]):
    """Patch number n of the endless row."""

    def __init__(self, sampler: PatchSampler, keys: Sequence[str]) -> None:
        self._sampler = sampler
        self._keys = tuple(keys)

    def __getitem__(self, place: int) -> Batch:
        sampler = self._sampler
        draw = sampler.draw(*divmod(place, sampler.patches_per_epoch))
        arrays = sampler.read(draw, self._keys)
        noise = sampler.noise(draw, arrays["image"].shape[0]) if draw.noise_sd > 0 else None
        patch = augment_patch(arrays, draw, sampler.patch_size, noise)
        return {key: torch.from_numpy(np.ascontiguousarray(patch[key])) for key in self._keys}
