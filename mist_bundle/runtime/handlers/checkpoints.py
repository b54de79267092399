"""Checkpoints of a training in its work folder: the best weights, and the state that a training resumes from.

`best_N.pt` is a plain state dict of the best weights, which were those of epoch N. `last.pt` holds network, optimizer,
schedule, averaged weights, random states, the loader's position, the best score, the settings that the training was
started with, and which file the best weights are in, so that a run that was stopped at any moment ends with the same
weights as an undisturbed run. MONAI's CheckpointSaver restores neither the best score nor the random states, and its
first validation after a resume overwrites the best weights.

The bundle changes only when the training ends, all at once (see ../folds/publication.py).
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from ..check_settings import running_configuration
from ..components import component_values
from ..folds.files import sha256_of, sha256_of_bytes, write_json, write_whole
from ..folds.finite import not_finite_text
from ..folds.locks import Lock, LockedError
from ..folds.publish_weights import publish_fold
from ..folds.state import (
    BEST_PATTERN,
    COMPONENTS,
    HISTORY,
    LAST,
    LOCK,
    PREVIOUS,
    STATUS,
    TRAINING,
    best_name,
    differences,
    differences_text,
    has_state,
    move_aside,
    plain,
)
from ..networks.parts import unwrap
from ..values import truth
from .agreement import any_process, latest_state
from .clean_up import clean_up_after
from .interruption import Interruption
from .training_state import random_state, read_state, restore_scaler, save_whole, set_random_state

logger = logging.getLogger(__name__)


class TrainingRefusedError(ValueError):
    """A training cannot begin, or continue, with these settings; the message says what to do."""


class CheckpointKeeper:
    """Keep the best and the last state of a training, resume from the last, and publish the best at the end.

    Args:
        network: what is trained; may be wrapped for several processes.
        optimizer: its optimizer.
        lr_scheduler: its learning-rate schedule.
        loader: the training loader; its `state_dict()` is kept and `set_epoch()` is called before each epoch.
        fold_dir: folder in the work folder for the state.
        best_paths: the fold's weights in the bundle, models/fold_K.pt; the other weight files follow from it.
        averaged_network: the moving average of the weights, if it is used: it is what is validated and kept as best.
        metric: name of the evaluator's metric, the greater the better. Without validation the last weights are best.
        training_only_keys: parts of parameter names that only training needs (auxiliary heads), left out of the
            best weights.
        early_stopping: validations without a better score after which the training ends; 0 for never.
        resume: continue from last.pt where it exists.
        rank: only rank 0 writes.
        settings: what the weights follow from, by name; a training continues only with the values it was started with.
        plan: identity of the plan that the settings belong to.
        datalist_path: the list of cases; another list is another training.
        bundle_root: the bundle's folder; with it, the values inside of the running configuration's components are
            settings too.
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
        settings: Mapping[str, Any] | None = None,
        plan: str = "",
        datalist_path: str = "",
        bundle_root: str = "",
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.loader = loader
        self.fold_dir = Path(fold_dir)
        self.weights_path = Path(best_paths[0])
        self.averaged_network = averaged_network
        self.metric = metric
        self.training_only_keys = tuple(training_only_keys)
        if early_stopping < 0:
            raise ValueError(f"early_stopping is {early_stopping}; expected 0 (never) or more.")
        self.early_stopping = early_stopping
        self.resume = truth(resume)
        self.restarted = False
        self.rank = rank
        self.settings = _all_settings(settings, plan, datalist_path, bundle_root)
        self.best_score = float("-inf")
        self.best_epoch = 0
        self.best_digest = ""
        self.validations_since_best = 0
        self._lock = Lock(self.fold_dir / LOCK)
        self._watched = metric  # what chooses the best weights
        self._kept_epoch = 0  # of last.pt
        self._kept_best: set[int] = set()  # epochs of the best weights that last.pt and previous.pt name
        self._last_is_damaged = False
        self._interruption: Interruption | None = None

    def attach(self, trainer: Engine, evaluator: Engine | None = None) -> None:
        """Register with trainer and evaluator and, with `resume`, restore the last state.

        Args:
            trainer: the SupervisedTrainer, built but not yet run.
            evaluator: the SupervisedEvaluator whose metric chooses the best weights; None keeps the last weights.

        Raises:
            TrainingRefusedError: the fold is being trained by another process, the run to be resumed is complete or was
                started with other settings, or it is to stop early with nothing to watch.
        """
        if evaluator is None and self.early_stopping > 0:
            raise TrainingRefusedError(
                f"early_stopping is {self.early_stopping}, but no case is held back to watch (the fold has no inner "
                "validation). Pass --early_stopping 0, or configure the bundle with a --val_fraction above 0."
            )
        self._watched = "last epoch" if evaluator is None else self.metric
        if self.rank == 0:
            self._take_lock()
        # torchrun starts the same command again when a process died; it counts only restarts of the own machine
        self.restarted = any_process(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0)
        self.resume = self.resume or self.restarted
        if self.resume and any_process(has_state(self.fold_dir)):
            self._restore(trainer)
        elif self.rank == 0 and has_state(self.fold_dir):
            earlier = move_aside(self.fold_dir)
            logger.warning("A new training begins; the earlier one is in %s. --resume true would continue it.", earlier)
        engine: Any = trainer
        engine.checkpoint_keeper = self  # RoundWeights then leaves the weights to it
        self._interruption = Interruption(lambda: self._kept_text(trainer), silent=self.rank != 0)
        trainer.add_event_handler(Events.STARTED, self._interruption.begin)
        trainer.add_event_handler(Events.EPOCH_STARTED, self._before_epoch)
        if evaluator is not None:
            evaluator.add_event_handler(Events.COMPLETED, self._after_validation, trainer)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._after_epoch, evaluator)
        trainer.add_event_handler(Events.COMPLETED, self._publish)
        clean_up_after(trainer, self._let_go)

    def _take_lock(self) -> None:
        try:
            self._lock.acquire()
        except LockedError as error:
            message = f"{self.fold_dir.name} is being trained by {error.holder}; two trainings would mix their states."
            raise TrainingRefusedError(f"{message} Wait for it to end, or train another fold.") from error

    def _kept_text(self, trainer: Engine) -> str:
        if not self._kept_epoch:
            return "No epoch had ended."
        return f"Epoch {self._kept_epoch} of {trainer.state.max_epochs} is kept."

    def _before_epoch(self, trainer: Engine) -> None:
        self.loader.set_epoch(trainer.state.epoch - 1)

    def _after_validation(self, evaluator: Engine, trainer: Engine) -> None:
        self._refuse_not_finite(trainer.state.epoch)
        score = float(evaluator.state.metrics[self.metric])
        # a NaN (no class present in any case) is never better; the first validated weights are kept whatever they score
        if score > self.best_score or self.best_epoch == 0:
            self.validations_since_best = 0
            self._keep_best(score, trainer.state.epoch)
            return
        self.validations_since_best += 1
        if self._stopped_early():
            message = "Stopped early: no better %s in %d validations since epoch %d."
            logger.info(message, self.metric, self.validations_since_best, self.best_epoch)
            trainer.terminate()

    def _stopped_early(self) -> bool:
        # every process has the same score, gathered from all, so all stop together
        return 0 < self.early_stopping <= self.validations_since_best

    def _after_epoch(self, trainer: Engine, evaluator: Any) -> None:
        """Write best, last and status so that, whenever it is interrupted, what is there belongs together."""
        self._refuse_not_finite(trainer.state.epoch)
        if evaluator is None:
            self._keep_best(float("-inf"), trainer.state.epoch)
        if self.rank != 0:
            return
        state = self._state(trainer)
        last = self.fold_dir / LAST
        if last.is_file() and not self._last_is_damaged:
            os.replace(last, self.fold_dir / PREVIOUS)
        save_whole(state, last)
        self._last_is_damaged, self._kept_epoch = False, trainer.state.epoch
        self._write_status(trainer.state.epoch, trainer.state.max_epochs or 0)
        self._remove_former_best()

    def _refuse_not_finite(self, epoch: int) -> None:
        """Raise FloatingPointError for weights that a step has made NaN: nothing is saved that holds them."""
        problem = not_finite_text(unwrap(self.network).state_dict())
        if problem:
            kept = "Nothing was saved"
            if self._kept_epoch:
                kept = f"What was saved after epoch {self._kept_epoch} is intact"
            raise FloatingPointError(
                f"the network after epoch {epoch} {problem}. {kept}. Train this fold again with a lower "
                "--learning_rate (with mist-bundle train, pass --overwrite)."
            )

    def _write_status(self, epoch: int, epochs: int) -> None:
        status = {
            "epoch": epoch,
            "epochs": epochs,
            "best_score": self.best_score if math.isfinite(self.best_score) else None,
            "best_epoch": self.best_epoch,
            "best": {"file": best_name(self.best_epoch), "sha256": self.best_digest} if self.best_epoch else None,
            "stopped_early": self._stopped_early(),
            "early_stopping": self.early_stopping,
            "validations_since_best": self.validations_since_best,
            "metric": self._watched,
            "settings": self.settings,
        }
        write_json(self.fold_dir / STATUS, status)

    def _keep_best(self, score: float, epoch: int) -> None:
        self.best_score, self.best_epoch = score, epoch
        if self.rank != 0:
            return
        source = self.averaged_network if self.averaged_network is not None else self.network
        weights = {}
        for name, value in unwrap(source).state_dict().items():
            if not any(part in name for part in self.training_only_keys):
                weights[name] = value.detach().cpu().contiguous()
        path = self.fold_dir / best_name(epoch)
        save_whole(weights, path)
        self.best_digest = sha256_of(path)

    def _remove_former_best(self) -> None:
        """Keep the best weights of this state and of the state before, which a training may have to continue from."""
        kept = [best_name(epoch) for epoch in (*self._kept_best, self.best_epoch)]
        for path in self.fold_dir.glob(BEST_PATTERN):
            if path.name not in kept:
                path.unlink()
        self._kept_best = {self.best_epoch}

    def _publish(self, trainer: Engine) -> None:
        del trainer
        if self.rank == 0:
            publish_fold(self.fold_dir, self.weights_path)
        self._let_go()

    def _let_go(self) -> None:
        """Give the signals back to the program, and the fold to other trainings."""
        if self._interruption is not None:
            self._interruption.end()
        self._lock.release()

    def _state(self, trainer: Engine) -> dict[str, Any]:
        scaler = getattr(trainer, "scaler", None)
        return {
            "epoch": trainer.state.epoch,
            "iteration": trainer.state.iteration,
            "epochs": trainer.state.max_epochs,
            "network": unwrap(self.network).state_dict(),
            "averaged": None if self.averaged_network is None else unwrap(self.averaged_network).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "lr_scheduler": self.lr_scheduler.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "loader": self.loader.state_dict(),
            "random": random_state(),
            "best_score": self.best_score,
            "best_epoch": self.best_epoch,
            "best_sha256": self.best_digest,
            "validations_since_best": self.validations_since_best,
            "settings": self.settings,
        }

    def _restore(self, trainer: Engine) -> None:
        path, state = self._agreed_state()
        max_epochs = trainer.state.max_epochs or 0
        self._check_settings(state, max_epochs)
        self.validations_since_best = state["validations_since_best"]
        self.best_score, self.best_epoch = state["best_score"], state["best_epoch"]
        self.best_digest = state.get("best_sha256", "")
        self._kept_epoch, self._kept_best = state["epoch"], {self.best_epoch}
        if state["epoch"] >= max_epochs or self._stopped_early():
            self._refuse_complete(state, max_epochs)
        unwrap(self.network).load_state_dict(state["network"])
        if self.averaged_network is not None and state["averaged"] is not None:
            unwrap(self.averaged_network).load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.lr_scheduler.load_state_dict(state["lr_scheduler"])
        self.loader.load_state_dict(state["loader"])
        set_random_state(state["random"])
        trainer.state.epoch, trainer.state.iteration = state["epoch"], state["iteration"]
        if state["scaler"]:
            # MONAI creates the scaler when the trainer starts to run
            trainer.add_event_handler(Events.STARTED, restore_scaler, state["scaler"])
        logger.info("Continuing after epoch %d of %d from %s.", state["epoch"], max_epochs, path)

    def _agreed_state(self) -> tuple[Path, dict[str, Any]]:
        """The state to continue from: the latest that any process can read, where they do not share a disk."""
        path, own = self._read_state() if has_state(self.fold_dir) else (self.fold_dir / LAST, None)
        files = [self.fold_dir / TRAINING, self.fold_dir / HISTORY]
        if own is not None:
            files.append(self.fold_dir / best_name(own["best_epoch"]))
        state, contents = latest_state(own, files)
        if state is None:
            raise TrainingRefusedError(f"{self.fold_dir} has no state to continue from.")
        if self.rank == 0:
            for name, content in contents.items():
                _write_bytes(self.fold_dir / name, content)
        return path, state

    def _read_state(self) -> tuple[Path, dict[str, Any]]:
        """The last state that is whole and whose best weights are there.

        Raises:
            TrainingRefusedError: there is none.
        """
        damaged: list[Path] = []
        for path in (self.fold_dir / LAST, self.fold_dir / PREVIOUS):
            state = read_state(path) if path.is_file() else None
            if state is not None and self._has_best(state):
                if damaged:
                    self._last_is_damaged = True
                    logger.warning("%s is missing or damaged; continuing from %s.", damaged[0], path.name)
                return path, state
            damaged.append(path)
        raise TrainingRefusedError(
            f"{self.fold_dir / LAST} is damaged, and there is no state of the epoch before to continue from. Train "
            "this fold from the start: leave --resume out (with mist-bundle train, pass --overwrite)."
        )

    def _has_best(self, state: Mapping[str, Any]) -> bool:
        digest = state.get("best_sha256", "")
        best = self.fold_dir / best_name(state["best_epoch"])
        return not digest or (best.is_file() and sha256_of(best) == digest)

    def _check_settings(self, state: Mapping[str, Any], max_epochs: int) -> None:
        started = state.get("settings", {})
        before = state.get("epochs", max_epochs)
        changed = list(differences(started, self.settings, extended=max_epochs != before))
        if max_epochs < before:
            changed.append(("epochs", before, max_epochs))
        if changed:
            raise TrainingRefusedError(
                f"{self.fold_dir.name} was begun with other settings: {differences_text(changed)}. Continue with the "
                "former settings, or train it from the start with these: leave --resume out (with mist-bundle train, "
                "pass --overwrite)."
            )
        if max_epochs > before:
            logger.info("Extended from %d to %d epochs; the learning rate follows the longer run.", before, max_epochs)

    def _refuse_complete(self, state: Mapping[str, Any], max_epochs: int) -> None:
        """Refuse a run with nothing left to do, after publishing weights that have not been published yet."""
        if self.rank == 0:
            self._write_status(state["epoch"], max_epochs)  # a kill may have left the status of the epoch before
        if self.rank == 0 and self.best_digest and publish_fold(self.fold_dir, self.weights_path):
            logger.info("%s is complete; its best weights are published now.", self.fold_dir.name)
            raise SystemExit(0)
        if self.restarted:  # a process died after the last epoch, and nothing is left to do
            raise SystemExit(0)
        last = self.fold_dir / LAST
        if state["epoch"] >= max_epochs:
            raise TrainingRefusedError(
                f"{last} is complete: epoch {state['epoch']} of {max_epochs}. To train further, pass a larger --epochs."
            )
        raise TrainingRefusedError(
            f"{last} is complete: stopped early after epoch {state['epoch']}, {self.validations_since_best} "
            "validations without a better score. To train further, pass a larger --early_stopping, or 0."
        )


def _write_bytes(path: Path, content: bytes) -> None:
    write_whole(path, lambda stream: stream.write(content))


def _all_settings(
    settings: Mapping[str, Any] | None, plan: str, datalist_path: str, bundle_root: str
) -> dict[str, Any]:
    cases = Path(datalist_path)
    identity = {"plan": plan} if plan else {}
    if datalist_path and cases.is_file():
        identity["cases"] = sha256_of_bytes(cases.read_bytes())[:16]
    config = running_configuration() if bundle_root else None
    components = {COMPONENTS: component_values(config, bundle_root)} if config else {}
    return {**plain(settings or {}), **identity, **components}
