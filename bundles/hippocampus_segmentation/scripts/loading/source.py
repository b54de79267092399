"""What the training loaders have in common: their settings, the cases behind them, and how far they have come."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .augmentation import Augmentation
from .cache import ArrayCache
from .patches import PatchSampler
from .volumes import Triple

logger = logging.getLogger(__name__)


class PatchSource:
    """The settings of a loader, checked at once, and its sampler, made when the first patch is asked for."""

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        cache: ArrayCache,
        patch_size: Sequence[int],
        *,
        batch_size: int,
        steps_per_epoch: int | None,
        seed: int,
        rank: int,
        world_size: int,
        augmentation: Mapping[str, Any] | None,
        foreground_probability: float,
    ) -> None:
        problems = _problems(patch_size, batch_size, steps_per_epoch, seed, rank, world_size, foreground_probability)
        if "image" not in cache.keys or "label" not in cache.keys:
            problems.append(f"the cache must hold 'image' and 'label' for training, but its keys are {cache.keys}.")
        if problems:
            raise ValueError("patch loader: " + " ".join(problems))
        self.data = data
        self.cache = cache
        self.patch_size: Triple = (int(patch_size[0]), int(patch_size[1]), int(patch_size[2]))
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch or max(1, math.ceil(len(data) / (batch_size * world_size)))
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.augmentation = Augmentation.from_config(augmentation)
        self.foreground_probability = foreground_probability
        self._sampler: PatchSampler | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The arrays of a patch, "image" first."""
        return ("image", "label", *(key for key in self.cache.keys if key not in ("image", "label")))

    def sampler(self) -> PatchSampler:
        """The sampler over the preprocessed cases; the first call builds what the cache lacks.

        Raises:
            ValueError: there is no case.
            CacheBuildError: cases could not be preprocessed, each named.
        """
        if self._sampler is None:
            if len(self.data) == 0:
                raise ValueError("patch loader: the list of training cases is empty.")
            carries_distances = len(self.keys) > 2
            if carries_distances and self.augmentation.moves_voxels:
                logger.info("zoom, rotation and scaling are off: they would falsify the patches' distance maps")
            self._sampler = PatchSampler(
                self.cache.build(self.data),
                self.patch_size,
                patches_per_epoch=self.steps_per_epoch * self.batch_size,
                seed=self.seed,
                rank=self.rank,
                world_size=self.world_size,
                augmentation=self.augmentation,
                foreground_probability=self.foreground_probability,
                allow_resampling=not carries_distances,
            )
        return self._sampler


class EpochCounter:
    """Which epoch a loader is in, so that its position can be saved and restored.

    An epoch counts as done when its last batch is handed out, not when the consumer asks for one more (Ignite saves
    before it asks). Until then the state names the epoch under way, which a resumed run begins anew.
    """

    def __init__(self) -> None:
        self._next = 0
        self._under_way: int | None = None

    def start(self) -> int:
        """Begin an epoch and return its number; an epoch that was broken off is left behind."""
        epoch = self._next
        self._next, self._under_way = epoch + 1, epoch
        return epoch

    def finish(self, epoch: int) -> None:
        """Note that the last batch of an epoch was handed out, or that its iteration was given up."""
        if self._under_way == epoch:
            self._under_way = None

    def set(self, epoch: int) -> None:
        """Let the next iteration yield this epoch."""
        if epoch < 0:
            message = f"the epoch must be at least 0, not {epoch}."
            raise ValueError(message)
        self._next, self._under_way = epoch, None

    def state_dict(self) -> dict[str, int]:
        """{"epoch": the epoch that a resumed loader shall yield next}."""
        return {"epoch": self._next if self._under_way is None else self._under_way}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self.set(int(state["epoch"]))


def _problems(
    patch_size: Sequence[int],
    batch_size: int,
    steps_per_epoch: int | None,
    seed: int,
    rank: int,
    world_size: int,
    foreground_probability: float,
) -> list[str]:
    found = []
    if len(patch_size) != 3 or any(int(size) != size or size < 1 for size in patch_size):
        found.append(f"patch_size must be three positive whole numbers, not {list(patch_size)}.")
    if batch_size < 1:
        found.append(f"batch_size must be at least 1, not {batch_size}.")
    if steps_per_epoch is not None and steps_per_epoch < 1:
        found.append(f"steps_per_epoch must be at least 1, not {steps_per_epoch}.")
    if seed < 0:
        found.append(f"seed must be at least 0, not {seed}.")
    if not 0 <= rank < world_size:
        found.append(f"rank must lie from 0 to world_size - 1 = {world_size - 1}, not {rank}.")
    if not 0 <= foreground_probability <= 1:
        found.append(f"foreground_probability must lie from 0 to 1, not {foreground_probability}.")
    return found
