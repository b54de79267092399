"""What a person sees of a training: a bar in each epoch, a line after it, curves and history.jsonl."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from ignite.engine import Engine, Events

from ..folds.files import write_bytes
from ..folds.state import HISTORY, TRAIN_LOG, VALIDATION_LOSS
from ..wording import as_clock, counted
from .clean_up import clean_up_after
from .lesion_detection import LESION_F1
from .log_file import close_log, open_log
from .trackers import Tracker, check_tracker, open_tracker

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 60.0  # about the cases of an evaluator, in a log file


class TrainingProgress:
    """Report each epoch: mean loss, learning rate, Dice per class, speed and the time that is left.

    Args:
        class_names: names of the foreground classes, in the order of the network's outputs.
        log_dir: folder for history.jsonl, train.log and the curves.
        evaluator: the SupervisedEvaluator whose details are reported.
        metric: name of its metric; MONAI keeps the value per case and class under that name.
        optimizer: whose learning rate is reported.
        rank: only rank 0 reports.
        tracker: where the curves go beside history.jsonl; see trackers.py.
        run_name: what the run is called there, before the name of the fold's folder.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        log_dir: str,
        evaluator: Engine,
        optimizer: torch.optim.Optimizer,
        metric: str = "val_mean_dice",
        rank: int = 0,
        tracker: str = "tensorboard",
        run_name: str = "training",
    ) -> None:
        check_tracker(tracker)
        self.class_names = list(class_names)
        self.log_dir = Path(log_dir)
        self.evaluator = evaluator
        self.optimizer = optimizer
        self.metric = metric
        self.rank = rank
        self.tracker = tracker
        self.run_name = run_name
        self._curves: Tracker | None = None
        self._bar: Any = None
        self._log: logging.Handler | None = None
        self._loss_sum: torch.Tensor | float = 0.0
        self._steps = 0
        self._epoch_start = self._run_start = 0.0
        self._first_epoch = 0

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedTrainer, before its other handlers report anything."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._epoch_started)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._iteration_completed)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._epoch_completed)
        if self.rank == 0:
            engine.add_event_handler(Events.STARTED, self._started)
            engine.add_event_handler(Events.COMPLETED, self._completed)
            clean_up_after(engine, self._close)

    def _started(self, engine: Engine) -> None:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self._run_start = time.monotonic()
        self._first_epoch = engine.state.epoch
        self._log = open_log(self.log_dir / TRAIN_LOG, resumed=engine.state.epoch > 0)
        _drop_later_epochs(self.log_dir / HISTORY, engine.state.epoch)
        resumed = engine.state.epoch > 0
        run_name = f"{self.run_name} {self.log_dir.name}"
        self._curves = open_tracker(self.tracker, self.log_dir, run_name, resumed=resumed)

    def _epoch_started(self, engine: Engine) -> None:
        self._loss_sum, self._steps = 0.0, 0
        self._epoch_start = time.monotonic()
        if self.rank == 0:
            description = f"epoch {engine.state.epoch}/{engine.state.max_epochs}"
            self._bar = _progress_bar(engine.state.epoch_length or 0, description)

    def _iteration_completed(self, engine: Engine) -> None:
        # summed on the device: reading the value in each step would make a GPU wait for it
        self._loss_sum = self._loss_sum + engine.state.output["loss"].detach()  # type: ignore[index]
        self._steps += 1
        if self._bar is not None:
            self._bar.update()

    def _epoch_completed(self, engine: Engine) -> None:
        loss = self._mean_loss()
        if self.rank != 0:
            return
        if self._bar is not None:
            self._bar.close()
        seconds = time.monotonic() - self._epoch_start
        record: dict[str, Any] = {
            "epoch": engine.state.epoch,
            "loss": loss,
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "seconds": round(seconds, 3),
            "steps_per_second": round(self._steps / seconds, 3),
        }
        if engine.state.epoch in self._validated_epochs():
            record["dice"] = self._dice_per_class()
            if VALIDATION_LOSS in self.evaluator.state.metrics:
                record[VALIDATION_LOSS] = self.evaluator.state.metrics[VALIDATION_LOSS]
            if getattr(self.evaluator.state, LESION_F1, None):
                record[LESION_F1] = getattr(self.evaluator.state, LESION_F1)
        self._write(record)
        logger.info(self._line(record, engine))

    def _mean_loss(self) -> float:
        """Over the epoch's iterations and over all processes, each of which sees its share of the patches."""
        mean = torch.as_tensor(self._loss_sum) / max(1, self._steps)
        if dist.is_initialized():
            dist.all_reduce(mean)
            mean = mean / dist.get_world_size()
        return float(mean)

    def _validated_epochs(self) -> tuple[int, ...]:
        # MONAI's ValidationHandler leaves the trainer's epoch in the evaluator's state when it runs it
        return (self.evaluator.state.epoch,) if getattr(self.evaluator.state, "metrics", None) else ()

    def _dice_per_class(self) -> dict[str, float | None]:
        details = getattr(self.evaluator.state, "metric_details", {}).get(self.metric)
        if details is None:
            return {}
        means = torch.nanmean(torch.as_tensor(details).float(), dim=0).tolist()
        dice: dict[str, float | None] = {}
        for name, mean in zip(self.class_names, means, strict=False):
            dice[name] = None if math.isnan(mean) else round(mean, 5)
        return dice

    def _line(self, record: dict[str, Any], engine: Engine) -> str:
        max_epochs = engine.state.max_epochs or 0
        done = engine.state.epoch - self._first_epoch
        left = (time.monotonic() - self._run_start) / max(1, done) * (max_epochs - engine.state.epoch)
        parts = [f"epoch {record['epoch']}/{max_epochs}", f"loss {record['loss']:.4f}"]
        if VALIDATION_LOSS in record:
            parts.append(f"validation loss {record[VALIDATION_LOSS]:.4f}")
        dice = []
        for name, value in record.get("dice", {}).items():
            dice.append(f"{name} -" if value is None else f"{name} {value:.3f}")
        if dice:
            parts.append(f"dice {'  '.join(dice)}")
        lesions = []
        for name, value in record.get(LESION_F1, {}).items():
            lesions.append(f"{name} {value:.3f}")
        if lesions:
            parts.append(f"lesion F1 {'  '.join(lesions)}")
        parts += [f"lr {record['learning_rate']:.2e}", f"{record['steps_per_second']:.2f} steps/s"]
        if engine.state.epoch < max_epochs:
            parts.append(f"{as_clock(left)} left")
        return "  ".join(parts)

    def _write(self, record: dict[str, Any]) -> None:
        with (self.log_dir / HISTORY).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        if self._curves is not None:
            self._curves.log(_values(record), record["epoch"])

    def _completed(self, engine: Engine) -> None:
        logger.info(
            "Training ended after epoch %d in %s.", engine.state.epoch, as_clock(time.monotonic() - self._run_start)
        )
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._curves is not None:
            self._curves.close()
        if self._log is not None:
            close_log(self._log)
        self._bar = self._curves = self._log = None


class EvaluationProgress:
    """A bar over the cases of an evaluator; where there is no terminal, a line a minute and one at the end."""

    def __init__(self, description: str, rank: int = 0) -> None:
        self.description = description
        self.rank = rank
        self._bar: Any = None
        self._start = self._next_line = 0.0

    def attach(self, engine: Engine) -> None:
        """Register with a SupervisedEvaluator."""
        if self.rank != 0:
            return
        engine.add_event_handler(Events.STARTED, self._started)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._update)
        engine.add_event_handler(Events.COMPLETED, self._close)

    def _started(self, engine: Engine) -> None:
        self._bar = _progress_bar(engine.state.epoch_length or 0, self.description, leave=True)
        self._start = time.monotonic()
        self._next_line = self._start + _SECONDS_BETWEEN_LINES

    def _update(self, engine: Engine) -> None:
        done, total, now = engine.state.iteration, engine.state.epoch_length or 0, time.monotonic()
        if self._bar is not None:
            self._bar.update()
        elif now >= self._next_line and done < total:
            self._next_line = now + _SECONDS_BETWEEN_LINES
            left = (now - self._start) / done * (total - done)
            logger.info("%s: %d of %d cases, about %s left", self.description, done, total, as_clock(left))

    def _close(self, engine: Engine) -> None:
        if self._bar is not None:
            self._bar.close()
        else:
            seconds = time.monotonic() - self._start
            cases = counted(engine.state.iteration, "case")
            logger.info("%s: %s in %s", self.description, cases, as_clock(seconds))


def _progress_bar(total: int, description: str, *, leave: bool = False) -> Any:
    if not sys.stderr.isatty():
        return None  # in a log file the line after each epoch says enough
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=description, file=sys.stderr, leave=leave, mininterval=0.5)


def _values(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of an epoch by the names of their curves."""
    values = {}
    for name in ("loss", VALIDATION_LOSS, "learning_rate", "steps_per_second"):
        if name in record:
            values[name] = float(record[name])
    for key in ("dice", LESION_F1):
        for name, value in record.get(key, {}).items():
            if value is not None:
                values[f"{key}/{name}"] = float(value)
    return values


def _drop_later_epochs(path: Path, epoch: int) -> None:
    """Keep the records up to `epoch`, so that a resumed or repeated run does not report an epoch twice."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [f"{line}\n" for line in lines if _epoch_of(line) <= epoch]
    write_bytes(path, "".join(kept).encode("utf-8"))


def _epoch_of(line: str) -> float:
    try:
        return int(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # torn when the run that wrote it was killed
