"""What the training loaders share: their cases, their settings, the sampler over the cache, and their position."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from .cache import ArrayCache, warn_of_left_out
from .dataset import CachedDataset
from .epochs import EpochCounter
from .patches import PatchSampler
from .settings import PatchSettings

logger = logging.getLogger(__name__)

Batch = dict[str, torch.Tensor]


class PatchLoader(ABC):
    """An endless supply of augmented patches, in epochs of a fixed number of batches.

    Iterating yields {"image": (B, C, X, Y, Z) float32, "label": (B, 1, X, Y, Z) uint8 or int16, ["dtm": float32]}:
    plain tensors on `device`. Epoch n is the same whatever was iterated before, and every kind of loader yields the
    same batches for the same settings, up to rounding.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        cache: ArrayCache,
        settings: PatchSettings,
        device: torch.device | str = "cpu",
        num_threads: int | None = None,
    ) -> None:
        """Store the settings; data is touched only when the first batch is requested.

        Args:
            data: items {"id", "image", "label"} with the raw files' paths.
            cache: where their preprocessed arrays are or will be; must hold "image" and "label".
            settings: which patches.
            device: where the tensors shall be.
            num_threads: threads or processes that read and augment.
        """
        if "image" not in cache.keys or "label" not in cache.keys:
            raise ValueError(f"training needs a cache of 'image' and 'label', but its keys are {cache.keys}.")
        self.data = data
        self.cache = cache
        self.settings = settings.for_cases(len(data))
        self.dataset = CachedDataset(data, cache)
        self.device = torch.device(device)
        self.num_threads = num_threads
        self.epochs = EpochCounter()
        self.place: tuple[int, int] | None = None  # epoch and number of the batch that was handed out last
        self._sampler: PatchSampler | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch."""

    @abstractmethod
    def close(self) -> None:
        """Stop threads and processes."""

    def __len__(self) -> int:
        """Batches in an epoch, the same on every rank."""
        return self.settings.passes_per_epoch

    @property
    def passes(self) -> int:
        """Batches whose gradients are accumulated for an optimizer step."""
        return self.settings.passes

    @property
    def keys(self) -> tuple[str, ...]:
        """The arrays of a patch, "image" first."""
        others = [key for key in self.cache.keys if key not in ("image", "label")]
        return ("image", "label", *others)

    def sampler(self) -> PatchSampler:
        """The sampler over the preprocessed cases; the first call builds what the cache lacks.

        Cases that cannot be preprocessed are left out, with a warning that names each.

        Raises:
            ValueError: there is no case.
            CacheBuildError: no case could be preprocessed.
        """
        if self._sampler is None:
            if len(self.data) == 0:
                raise ValueError("patch loader: the list of training cases is empty.")
            carries_distances = len(self.keys) > 2
            if carries_distances and self.settings.augmentation.moves_voxels:
                logger.info("zoom, rotation and scaling are off: they would falsify the patches' distance maps")
            entries, failures = self.cache.build_usable(self.data)
            warn_of_left_out(failures, len(self.data), "training", rank=self.settings.rank)
            self._sampler = PatchSampler(entries, self.settings, allow_resampling=not carries_distances)
        return self._sampler

    def case_names(self, epoch: int, number: int) -> list[str]:
        """The cases that this process's batch `number` of an epoch was cut from."""
        sampler = self.sampler()
        names = []
        for position in self.settings.positions(number):
            case = sampler.draw(epoch, position).case
            names.append(sampler.cases[case].id)
        return names

    def without_dropped(self, batch: Batch, epoch: int, number: int) -> Batch:
        """The batch `number` of an epoch with 0 in the channels that its patches go without, changed in place."""
        if self.settings.augmentation.optional_channels:
            for patch, position in zip(batch["image"], self.settings.positions(number), strict=True):
                for channel in self.sampler().dropped(epoch, position):
                    patch[channel] = 0
        return batch

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration yield this epoch (counted from 0). Not needed otherwise: epochs follow each other."""
        self.epochs.set(epoch)

    def state_dict(self) -> dict[str, int]:
        """The position: {"epoch": n}. An epoch under way counts as not begun."""
        return self.epochs.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue at a saved position."""
        self.epochs.load_state_dict(state)
