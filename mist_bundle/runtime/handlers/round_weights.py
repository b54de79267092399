"""Weights for a federated client: after each round, where MONAI's MonaiAlgo looks for the best and the final weights.

MonaiAlgo builds the trainer of train.json and runs it once a round. It never runs the list `run`, which attaches
CheckpointKeeper, so nothing else keeps weights then. Where a CheckpointKeeper is attached this handler does nothing.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from ignite.engine import Engine, Events

from ..folds.files import sha256_of
from ..folds.publication import Content, PublicationError, publish
from ..folds.publish_weights import model_files, without_results
from ..folds.weights import FINAL
from ..networks.parts import unwrap

logger = logging.getLogger(__name__)

RESULTS = "model.pt was trained further by federated learning, and has not been evaluated since."

Weights = dict[str, torch.Tensor]


class RoundWeights:
    """Write models/model_final.pt at the end of each round, and models/model.pt where a validation was the best so far.

    The final weights are those of the network, which the client returns, too. The best are those that were validated:
    of the moving average, where one is used. Without validation cases the final weights count as the best. Results in
    the card and in metadata.json describe weights that are gone then, and are taken back. A model.pt that was there
    before the first round and that no fold has is kept as models/model_HASH.pt.

    Args:
        network: what is trained; may be wrapped for several processes.
        models_dir: the bundle's folder of weights.
        evaluator: of the validation during training.
        metric: name of its metric, the greater the better.
        averaged_network: the moving average of the weights, if it is used: it is what is validated.
        training_only_keys: parts of parameter names that only training needs.
        rank: of this process; only rank 0 writes.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        models_dir: str,
        evaluator: Engine,
        metric: str = "val_mean_dice",
        averaged_network: torch.nn.Module | None = None,
        training_only_keys: Sequence[str] = (),
        rank: int = 0,
    ) -> None:
        self.network = network
        self.models_dir = Path(models_dir)
        self.evaluator = evaluator
        self.metric = metric
        self.averaged_network = averaged_network
        self.training_only_keys = tuple(training_only_keys)
        self.rank = rank
        self.best_score: float | None = None
        self._best: Weights | None = None
        self._written = ""  # hash of the model.pt of a former round

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer."""
        if self.rank == 0:
            self.evaluator.add_event_handler(Events.COMPLETED, self._after_validation, engine)
            engine.add_event_handler(Events.COMPLETED, self._after_round)

    def _after_validation(self, evaluator: Engine, trainer: Engine) -> None:
        if _is_kept(trainer):
            return
        score = float(evaluator.state.metrics[self.metric])
        if self.best_score is None or score > self.best_score:
            validated = self.network if self.averaged_network is None else self.averaged_network
            self.best_score, self._best = score, self._weights(validated)

    def _after_round(self, trainer: Engine) -> None:
        if _is_kept(trainer):
            return
        final = self._weights(self.network)
        best = final if self.best_score is None else self._best
        self._best = None  # written once
        try:
            self._write(final, best)
        except (OSError, PublicationError) as error:
            # a client whose bundle cannot be written to continues training; only these two kinds of weights are missing
            logger.warning("warning: %s: the weights of this round were not written: %s", self.models_dir, error)

    def _weights(self, network: torch.nn.Module) -> Weights:
        weights = {}
        for name, value in unwrap(network).state_dict().items():
            if not any(part in name for part in self.training_only_keys):
                weights[name] = value.detach().cpu().clone()
        return weights

    def _write(self, final: Weights, best: Weights | None) -> None:
        bundle = self.models_dir.parent
        with tempfile.TemporaryDirectory(prefix="round_weights_") as scratch:
            written = self._written
            files: dict[str, Content] = {f"models/{FINAL}": _saved(final, Path(scratch) / FINAL)}
            if best is not None:
                chosen = _saved(best, Path(scratch) / "best.pt")
                files |= model_files(self.models_dir, chosen, Path(scratch), self._written)
                files |= without_results(bundle, RESULTS)
                written = sha256_of(chosen)
            publish(bundle, files, renew=True)
            self._written = written


def _is_kept(trainer: Engine) -> bool:
    """Whether a CheckpointKeeper keeps the weights of this training."""
    return getattr(trainer, "checkpoint_keeper", None) is not None


def _saved(weights: Weights, path: Path) -> Path:
    torch.save(weights, path)
    return path
