"""Curves in TensorBoard, MLflow and Weights & Biases, read back; a tracker that fails ends no training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from mist_bundle.runtime.handlers.trackers import Patient, check_tracker, open_tracker

EPOCHS = [{"loss": 0.75, "dice/liver": 0.5}, {"loss": 0.5, "dice/liver": 0.625}]


def _track(name: str, folder: Path, epochs: list[Mapping[str, float]], first: int, *, resumed: bool) -> None:
    tracker = open_tracker(name, folder, "liver fold_0", resumed=resumed)
    assert tracker is not None
    for number, values in enumerate(epochs, first):
        tracker.log(values, number)
    tracker.close()


def test_unknown_tracker_is_refused() -> None:
    with pytest.raises(ValueError, match="tracker is 'clearml'; expected tensorboard, mlflow, wandb, none"):
        check_tracker("clearml")


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mist_bundle.runtime.handlers.trackers.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="the package wandb is not installed; pip install wandb"):
        check_tracker("wandb")


def test_none_tracks_nothing(tmp_path: Path) -> None:
    assert open_tracker("none", tmp_path, "liver", resumed=False) is None
    assert not list(tmp_path.iterdir())


def test_tensorboard_files_hold_the_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _track("tensorboard", tmp_path, EPOCHS, 1, resumed=False)
    events = EventAccumulator(str(tmp_path)).Reload()
    points = [(point.step, point.value) for point in events.Scalars("dice/liver")]
    assert points == [(1, 0.5), (2, 0.625)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of mlflow's own code
def test_mlflow_keeps_one_run_for_an_interrupted_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (pip install mlflow)")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _track("mlflow", tmp_path, EPOCHS[:1], 1, resumed=False)
    _track("mlflow", tmp_path, EPOCHS[1:], 2, resumed=True)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    client = mlflow.MlflowClient()
    runs = client.search_runs(["0"])
    assert len(runs) == 1
    assert runs[0].data.tags["mlflow.runName"] == "liver fold_0"
    history = client.get_metric_history(runs[0].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.75), (2, 0.5)]
    _track("mlflow", tmp_path, EPOCHS[:1], 1, resumed=False)
    assert len(client.search_runs(["0"])) == 2


def test_wandb_runs_offline_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed (pip install wandb)")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    _track("wandb", tmp_path, EPOCHS[:1], 1, resumed=False)
    _track("wandb", tmp_path, EPOCHS[1:], 2, resumed=True)
    stored = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    assert len({path.name for path in stored}) == 1  # one run, in two parts that `wandb sync` joins


class _Away:
    """A tracker whose server is away."""

    def __init__(self) -> None:
        self.calls = 0

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self.calls += 1
        raise ConnectionError("no route to host")

    def close(self) -> None:
        raise ConnectionError("no route to host")


def test_a_tracker_that_fails_is_said_once_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    away = _Away()
    tracker = Patient(away)
    with caplog.at_level(logging.WARNING):
        for epoch in (1, 2, 3):
            tracker.log({"loss": 1.0}, epoch)
        tracker.close()
    assert away.calls == 1
    assert caplog.messages == [
        "warning: tracker: failed with no route to host; the training continues, and history.jsonl has all numbers."
    ]
