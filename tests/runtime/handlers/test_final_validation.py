"""The last epoch is validated whatever the interval, once, in fresh, resumed and stopped runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import MeanDice, ValidationHandler, from_engine

from mist_bundle.runtime.handlers.final_validation import FinalValidation

BATCHES = [{"image": torch.zeros(1, 1, 2, 2, 2), "label": torch.ones(1, 1, 2, 2, 2)}]


def _engines(interval: int, epochs: int, *first: Any) -> tuple[SupervisedTrainer, list[int]]:
    network = torch.nn.Conv3d(1, 1, 1)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=BATCHES,
        network=network,
        key_val_metric={"dice": MeanDice(output_transform=from_engine(["pred", "label"]))},
    )
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=BATCHES,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        train_handlers=[
            *first,
            ValidationHandler(interval=interval, validator=evaluator),
            FinalValidation(evaluator),
        ],
    )
    validated: list[int] = []
    evaluator.add_event_handler(Events.COMPLETED, lambda engine: validated.append(engine.state.epoch))
    return trainer, validated


@pytest.mark.parametrize(
    ("interval", "epochs", "expected"),
    [
        (5, 18, [5, 10, 15, 18]),
        (3, 6, [3, 6]),
        (1, 3, [1, 2, 3]),
        (7, 2, [2]),
        (1, 1, [1]),
    ],
)
def test_last_epoch_is_validated_once(interval: int, epochs: int, expected: list[int]) -> None:
    trainer, validated = _engines(interval, epochs)
    trainer.run()
    assert validated == expected


def test_resumed_run_validates_its_last_epoch() -> None:
    trainer, validated = _engines(4, 7)
    trainer.state.epoch, trainer.state.iteration = 4, 4
    trainer.run()
    assert validated == [7]


def test_rounds_that_go_on_validate_the_end_of_each() -> None:
    trainer, validated = _engines(4, 2)
    trainer.run()
    trainer.state.max_epochs = 5
    trainer.run()
    assert validated == [2, 4, 5]


class _StopInEpoch:
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def attach(self, engine: SupervisedTrainer) -> None:
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=self.epoch), engine.terminate)


def test_epoch_in_which_the_run_is_stopped_is_validated() -> None:
    trainer, validated = _engines(10, 20, _StopInEpoch(3))
    trainer.run()
    assert trainer.state.epoch == 3
    assert validated == [3]
