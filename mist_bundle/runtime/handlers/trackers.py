"""Where the curves of a training go beside history.jsonl: TensorBoard, MLflow, Weights & Biases, or nowhere.

MLflow and Weights & Biases are reached through ignite's loggers. Nothing leaves the machine unless you ask for it:
MLflow writes into the fold's folder unless MLFLOW_TRACKING_URI names a server, and Weights & Biases runs offline unless
WANDB_MODE says otherwise. A training that is resumed continues in the same run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from ..folds.files import read_object, write_bytes
from ..settings import TRACKERS

_NEEDED = {"mlflow": "mlflow", "wandb": "wandb"}
_RUN_FILE = "tracker.json"
_LOCAL_STORE = "mlflow.db"

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """Takes the values of an epoch."""

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Store the values of an epoch."""

    def close(self) -> None:
        """Finish what is stored."""


def check_tracker(name: str) -> None:
    """Refuse a tracker that is unknown or whose package is not installed.

    Raises:
        ValueError: with what to do.
    """
    if name not in TRACKERS:
        raise ValueError(f"tracker is {name!r}; expected {', '.join(TRACKERS)}.")
    package = _NEEDED.get(name)
    if package and find_spec(package) is None:
        raise ValueError(
            f"tracker is {name}, but the package {package} is not installed; pip install {package}, or leave out "
            "the option: TensorBoard files and history.jsonl hold the same numbers."
        )


def open_tracker(name: str, log_dir: Path, run_name: str, *, resumed: bool) -> Tracker | None:
    """Begin a run, or continue with that of an interrupted training.

    Args:
        name: one of `TRACKERS`.
        log_dir: the fold's folder.
        run_name: what the run is called.
        resumed: whether the training continues.

    Returns:
        None where nothing is tracked.
    """
    if name == "none" or (name == "tensorboard" and find_spec("tensorboard") is None):
        return None
    if name == "tensorboard":
        return _TensorBoard(log_dir)
    former = _former_run(log_dir, name) if resumed else None
    tracker = _MLflow(log_dir, run_name, former) if name == "mlflow" else _WeightsAndBiases(log_dir, run_name, former)
    content = {"tracker": name, "run": tracker.run}
    write_bytes(log_dir / _RUN_FILE, json.dumps(content).encode("utf-8"))
    return Patient(tracker)


class Patient:
    """Continue without the tracker if that fails: a server that is away must not end a training of days."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker: Tracker | None = tracker

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Store the values of an epoch, unless the tracker has failed before."""
        if self._tracker is None:
            return
        try:
            self._tracker.log(values, epoch)
        except Exception as error:  # noqa: BLE001 -- of other packages and their servers
            self._give_up(error)

    def close(self) -> None:
        """Finish what is stored."""
        if self._tracker is None:
            return
        try:
            self._tracker.close()
        except Exception as error:  # noqa: BLE001 -- of other packages and their servers
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._tracker = None
        logger.warning(
            "warning: tracker: failed with %s; the training continues, and history.jsonl has all numbers.", error
        )


class _TensorBoard:
    def __init__(self, log_dir: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(log_dir))

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    def __init__(self, log_dir: Path, run_name: str, former: str | None) -> None:
        from ignite.handlers.mlflow_logger import MLflowLogger

        if former is not None:
            os.environ["MLFLOW_RUN_ID"] = former  # mlflow.start_run, which ignite calls, continues with this run
        local = None if os.environ.get("MLFLOW_TRACKING_URI") else f"sqlite:///{log_dir / _LOCAL_STORE}"
        try:
            self._logger: Any = MLflowLogger(tracking_uri=local)
        finally:
            if former is not None:
                os.environ.pop("MLFLOW_RUN_ID", None)
        self._logger.set_tag("mlflow.runName", run_name)
        self.run: str = self._logger.active_run.info.run_id

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self._logger.log_metrics(dict(values), step=epoch)

    def close(self) -> None:
        self._logger.close()


class _WeightsAndBiases:
    def __init__(self, log_dir: Path, run_name: str, former: str | None) -> None:
        from ignite.handlers.wandb_logger import WandBLogger

        settings: dict[str, Any] = {
            "dir": str(log_dir),
            "name": run_name,
            "mode": os.environ.get("WANDB_MODE", "offline"),
        }
        if former is not None:
            settings.update(id=former, resume="allow")
        self._logger: Any = WandBLogger(**settings)
        self.run: str = self._logger.run.id

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self._logger.log(dict(values), step=epoch)

    def close(self) -> None:
        self._logger.close()


def _former_run(log_dir: Path, name: str) -> str | None:
    """The run that the interrupted training wrote to, if it used the same tracker."""
    content = read_object(log_dir / _RUN_FILE)
    return str(content["run"]) if content.get("tracker") == name and content.get("run") else None
