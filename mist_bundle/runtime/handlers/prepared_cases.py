"""Prepare all cases before the first step of a training, and continue without those that cannot be prepared."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events

from ..loading.dataset import CachedDataset
from ..loading.patch_loader import PatchLoader


class PreparedCases:
    """Fill the cache for training and validation when the training starts.

    A single file that cannot be read must not end a training of many cases, and least of all at the first validation,
    after hours. Such cases are named in a warning and left out of both.

    Args:
        loader: of the training patches.
        dataset: the validation cases.
        evaluator: runs over them; its number of iterations follows.
        rank: of this process; only rank 0 warns.
    """

    def __init__(self, loader: PatchLoader, dataset: CachedDataset, evaluator: Any, rank: int = 0) -> None:
        self.loader = loader
        self.dataset = dataset
        self.evaluator = evaluator
        self.rank = rank

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Prepare everything."""
        del engine
        self.loader.sampler()
        if len(self.dataset) > 0:
            self.dataset.prepare(self.rank)
            self.evaluator.state.epoch_length = len(self.evaluator.data_loader)
