"""Best weights for users, and everything needed to go on for ourselves, both written atomically.

`models/fold_K.pt` and `models/model.pt` hold a plain state dict of the best weights. `last.pt` in the work folder holds
network, optimizer, schedule, averaged weights, random states, the loader's position and the best score, so that a run
that was stopped ends with the same weights as one that was not. MONAI's CheckpointSaver restores neither the best score
nor the random states, and its first validation after a resume overwrites the best weights.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events

from .published import refresh_manifest, safetensors_path, write_safetensors

logger = logging.getLogger(__name__)

LAST = "last.pt"
STATUS = "status.json"


class CheckpointKeeper:
    """Keep the best and the last state of a training, and resume from the last.

    Args:
        network: what is trained; may be wrapped for several processes.
        optimizer: its optimizer.
        lr_scheduler: its learning-rate schedule.
        loader: the training loader; its `state_dict()` is kept and `set_epoch()` is called before each epoch.
        fold_dir: folder in the work folder for last.pt and status.json.
        best_paths: files that the best weights are written to.
        averaged_network: the moving average of the weights, if there is one: it is what is validated and kept as best.
        metric: name of the evaluator's metric, the greater the better. Without validation the last weights are best.
        training_only_keys: parts of parameter names that only training needs (auxiliary heads), left out of the
            best weights.
        early_stopping: validations without a better score after which the training ends; 0 for never.
        resume: go on from last.pt where there is one.
        rank: only rank 0 writes.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        lr_scheduler: Any,
        loader: Any,
        fold_dir: str,
        best_paths: Sequence[str],
        averaged_network: torch.nn.Module | None = None,
        metric: str = "val_mean_dice",
        training_only_keys: Sequence[str] = (),
        early_stopping: int = 0,
        resume: bool | str = False,
        rank: int = 0,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.loader = loader
        self.fold_dir = Path(fold_dir)
        self.best_paths = [Path(path) for path in best_paths]
        self.averaged_network = averaged_network
        self.metric = metric
        self.training_only_keys = tuple(training_only_keys)
        if early_stopping < 0:
            raise ValueError(f"early_stopping is {early_stopping}; expected 0 (never) or more.")
        self.early_stopping = early_stopping
        self.resume = resume in (True, "true")  # the command line of monai.bundle hands over `true` as a word
        self.rank = rank
        self.best_score = float("-inf")
        self.best_epoch = 0
        self.validations_since_best = 0

    def attach(self, trainer: Engine, evaluator: Engine | None = None) -> None:
        """Register with trainer and evaluator and, if asked to, restore the last state.

        Args:
            trainer: the SupervisedTrainer, built but not yet run.
            evaluator: the SupervisedEvaluator whose metric chooses the best weights; None keeps the last ones.

        Raises:
            ValueError: the run to be resumed is already complete, or is to stop early with nothing to watch.
        """
        if evaluator is None and self.early_stopping > 0:
            raise ValueError(
                f"early_stopping is {self.early_stopping}, but no case is held back to watch (the fold has no inner "
                "validation). Pass --early_stopping 0, or make the bundle with a --val_fraction above 0."
            )
        last = self.fold_dir / LAST
        if self.resume and last.is_file():
            self._restore(trainer, last)
        elif last.is_file():
            logger.info("A new training: %s will be replaced. Pass --resume true to go on from it instead.", last)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._before_epoch)
        if evaluator is not None:
            evaluator.add_event_handler(Events.COMPLETED, self._after_validation, trainer)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._after_epoch, evaluator)
        trainer.add_event_handler(Events.COMPLETED, self._publish)

    def _before_epoch(self, trainer: Engine) -> None:
        self.loader.set_epoch(trainer.state.epoch - 1)

    def _after_validation(self, evaluator: Engine, trainer: Engine) -> None:
        score = float(evaluator.state.metrics[self.metric])
        # a NaN (no class present in any case) is never better; the first validated weights are kept whatever they score
        if score > self.best_score or self.best_epoch == 0:
            self.validations_since_best = 0
            self._keep_best(score, trainer.state.epoch)
            return
        self.validations_since_best += 1
        if self._stopped_early():
            logger.info(
                "Stopped early: no better %s in %d validations since epoch %d.",
                *(self.metric, self.validations_since_best, self.best_epoch),
            )
            trainer.terminate()

    def _stopped_early(self) -> bool:
        # every process has the same score, gathered from all, so all stop together
        return 0 < self.early_stopping <= self.validations_since_best

    def _after_epoch(self, trainer: Engine, evaluator: Any) -> None:
        last_is_best = evaluator is None
        if last_is_best:
            self._keep_best(float("-inf"), trainer.state.epoch)
        if self.rank != 0:
            return
        save_atomically(self._state(trainer), self.fold_dir / LAST)
        status = {
            "epoch": trainer.state.epoch,
            "epochs": trainer.state.max_epochs,
            "best_score": self.best_score if math.isfinite(self.best_score) else None,
            "best_epoch": self.best_epoch,
            "stopped_early": self._stopped_early(),
            "metric": "last epoch" if last_is_best else self.metric,
        }
        write_atomically((json.dumps(status, indent=2) + "\n").encode(), self.fold_dir / STATUS)

    def _keep_best(self, score: float, epoch: int) -> None:
        self.best_score, self.best_epoch = score, epoch
        if self.rank != 0:
            return
        source = self.averaged_network if self.averaged_network is not None else self.network
        weights = {
            name: value.detach().cpu().contiguous()
            for name, value in unwrap(source).state_dict().items()
            if not any(part in name for part in self.training_only_keys)
        }
        for path in self.best_paths:
            copy = safetensors_path(path)
            if copy is not None:
                copy.unlink(missing_ok=True)  # never older than the weights beside it, also after an interruption
            save_atomically(weights, path)

    def _publish(self, trainer: Engine) -> None:
        del trainer
        if self.rank != 0:
            return
        for path in self.best_paths:
            write_safetensors(path)
            files = [file for file in (path, safetensors_path(path)) if file is not None]
            if path.parent.name == "models":
                refresh_manifest(path.parent.parent, files)

    def _state(self, trainer: Engine) -> dict[str, Any]:
        scaler = getattr(trainer, "scaler", None)
        return {
            "epoch": trainer.state.epoch,
            "iteration": trainer.state.iteration,
            "network": unwrap(self.network).state_dict(),
            "averaged": None if self.averaged_network is None else unwrap(self.averaged_network).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": self.lr_scheduler.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "loader": self.loader.state_dict(),
            "random": random_state(),
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "validations_since_best": self.validations_since_best,
        }

    def _restore(self, trainer: Engine, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        max_epochs = trainer.state.max_epochs or 0
        if state["epoch"] >= max_epochs:
            raise ValueError(
                f"{path} is complete: epoch {state['epoch']} of {max_epochs}. To train further, pass a larger --epochs."
            )
        self.validations_since_best = state["validations_since_best"]
        if self._stopped_early():
            raise ValueError(
                f"{path} is complete: stopped early after epoch {state['epoch']}, {self.validations_since_best} "
                "validations without a better score. To train further, pass a larger --early_stopping, or 0."
            )
        unwrap(self.network).load_state_dict(state["network"])
        if self.averaged_network is not None and state["averaged"] is not None:
            unwrap(self.averaged_network).load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.lr_scheduler.load_state_dict(state["lr_scheduler"])
        self.loader.load_state_dict(state["loader"])
        set_random_state(state["random"])
        self.best_score, self.best_epoch = state["best_score"], state["best_epoch"]
        trainer.state.epoch, trainer.state.iteration = state["epoch"], state["iteration"]
        if state["scaler"]:
            # MONAI makes the scaler when the trainer starts to run
            trainer.add_event_handler(Events.STARTED, _restore_scaler, state["scaler"])
        logger.info("Going on after epoch %d of %d from %s.", state["epoch"], max_epochs, path)


def _restore_scaler(trainer: Engine, state: dict[str, Any]) -> None:
    scaler = getattr(trainer, "scaler", None)
    if scaler is not None:
        scaler.load_state_dict(state)


def unwrap(network: torch.nn.Module) -> torch.nn.Module:
    """The network itself, out of DistributedDataParallel."""
    inner = getattr(network, "module", network)
    return inner if isinstance(inner, torch.nn.Module) else network


def random_state() -> dict[str, Any]:
    """State of all generators that training may draw from, as tensors and plain numbers (weights_only loadable)."""
    version, numbers, cached = random.getstate()
    name, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": [version, list(numbers), cached],
        "numpy": [
            name,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what `random_state` gave; the states of GPUs that are no longer there are left out."""
    version, numbers, cached = state["python"]
    random.setstate((version, tuple(numbers), cached))
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def save_atomically(value: Any, path: Path) -> None:
    """torch.save to a temporary file in the same folder, flushed, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as stream:
            torch.save(value, stream)
            stream.flush()
            os.fsync(stream.fileno())
        _publish(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_atomically(content: bytes, path: Path) -> None:
    """Write bytes to a temporary file in the same folder, flushed, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        _publish(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _publish(temporary: str, path: Path) -> None:
    mask = os.umask(0)
    os.umask(mask)
    Path(temporary).chmod(0o666 & ~mask)
    os.replace(temporary, path)
