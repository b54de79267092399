"""What is reported of a training: history.jsonl, a line for each epoch, and bars only on a terminal."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events

from mist_bundle.runtime.handlers.progress import EvaluationProgress, TrainingProgress

LOSSES = {1: [4.0, 2.0], 2: [2.0, 1.0], 3: [1.0, 0.0]}
NAN = float("nan")


@pytest.fixture(autouse=True)
def reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def train(log_dir: Path, first_epoch: int = 0, last_epoch: int = 3, rank: int = 0, broken: int = 0) -> None:
    """Two steps an epoch; validated in epoch 2 alone; the steps of the epoch `broken` fail."""
    validation = SimpleNamespace(state=SimpleNamespace(epoch=0, metrics={}, metric_details={}))
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.25)

    def step(engine: Engine, number: int) -> dict[str, Any]:
        if engine.state.epoch == broken:
            raise RuntimeError("a step failed")
        return {"loss": torch.tensor(LOSSES[engine.state.epoch][number])}

    def validate(engine: Engine) -> None:
        if engine.state.epoch == 2:
            details = {"val_mean_dice": torch.tensor([[0.5, NAN], [1.0, NAN]])}
            validation.state = SimpleNamespace(epoch=2, metrics={"val_mean_dice": 0.75}, metric_details=details)

    trainer = Engine(step)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    progress = TrainingProgress(["a", "b"], str(log_dir), validation, optimizer, rank=rank, tracker="none")
    progress.attach(trainer)
    trainer.state.max_epochs = last_epoch
    trainer.state.epoch, trainer.state.iteration = first_epoch, 2 * first_epoch
    trainer.state.epoch_length = 2
    trainer.run(range(2), max_epochs=last_epoch, epoch_length=2)


def history(log_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (log_dir / "history.jsonl").read_text().splitlines()]


def test_each_epoch_is_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path)
    records = history(tmp_path)
    assert [record["epoch"] for record in records] == [1, 2, 3]
    assert [record["loss"] for record in records] == [3.0, 1.5, 0.5]
    assert {record["learning_rate"] for record in records} == {0.25}
    assert [record.get("dice") for record in records] == [None, {"a": 0.75, "b": None}, None]
    lines = [line for line in caplog.messages if line.startswith("epoch ")]
    assert lines[0].startswith("epoch 1/3  loss 3.0000  lr 2.50e-01  ")
    assert lines[1].startswith("epoch 2/3  loss 1.5000  dice a 0.750  b -  lr ")
    assert lines[1].endswith("0:00:00 left")
    assert lines[2].endswith(" steps/s"), "nothing is left"
    assert "Training ended after epoch 3 in 0:00:" in caplog.text


def test_a_resumed_run_reports_no_epoch_twice(tmp_path: Path) -> None:
    train(tmp_path)
    with (tmp_path / "history.jsonl").open("a") as stream:
        stream.write('{"epoch": 4, "lo')  # torn by a kill
    train(tmp_path, first_epoch=1)
    assert [record["epoch"] for record in history(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize("broken", [0, 2])
def test_what_is_logged_after_a_training_is_not_in_its_file(tmp_path: Path, broken: int) -> None:
    before = logging.getLogger().handlers.copy()
    with pytest.raises(RuntimeError, match="a step failed") if broken else nullcontext():
        train(tmp_path, broken=broken)
    assert logging.getLogger().handlers == before
    logging.getLogger("notebook").warning("the next cell")
    assert "the next cell" not in (tmp_path / "train.log").read_text()


def test_other_processes_report_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(tmp_path, rank=1)
    assert list(tmp_path.iterdir()) == []
    assert not [record for record in caplog.records if record.name.endswith("progress")]


@pytest.mark.parametrize(("rank", "said"), [(0, ["inference: 3 cases in 0:00:00"]), (1, [])])
def test_without_a_terminal_cases_are_counted(rank: int, said: list[str], caplog: pytest.LogCaptureFixture) -> None:
    evaluator = Engine(lambda *_: None)
    EvaluationProgress("inference", rank).attach(evaluator)
    evaluator.run(range(3))
    assert [record.message for record in caplog.records if record.name.endswith("progress")] == said


def test_without_a_terminal_a_long_run_says_how_far_it_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr("mist_bundle.runtime.handlers.progress.time.monotonic", lambda: seconds[0])

    def predict(*_: object) -> None:
        seconds[0] += 40.0

    evaluator = Engine(predict)
    EvaluationProgress("predict").attach(evaluator)
    evaluator.run(range(5))
    assert [record.message for record in caplog.records if record.name.endswith("progress")] == [
        "predict: 2 of 5 cases, about 0:02:00 left",
        "predict: 4 of 5 cases, about 0:00:40 left",
        "predict: 5 cases in 0:03:20",
    ]
