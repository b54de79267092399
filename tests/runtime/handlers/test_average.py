"""The moving average of the weights, with its warm-up; buffers such as batch statistics are copied."""

from __future__ import annotations

import math

import pytest
import torch
from ignite.engine import Engine
from ignite.handlers import EMAHandler

from mist_bundle.runtime.handlers.average import AverageWeights, warmed_up


@pytest.mark.parametrize(("updates", "decay"), [(1, 2 / 11), (10, 11 / 20), (1000, 0.99)])
def test_decay_is_tensorflows(updates: int, decay: float) -> None:
    assert 1 - warmed_up(0.01, updates) == pytest.approx(decay)


def test_a_short_average_forgets_the_initial_weights() -> None:
    for decay, updates in ((0.99, 100), (0.999, 1000)):
        left = math.prod(1 - warmed_up(1 - decay, count) for count in range(1, updates + 1))
        assert left < 1e-6 < decay**updates


def test_parameters_move_and_buffers_are_copied() -> None:
    network = torch.nn.BatchNorm1d(2)
    average = EMAHandler(network, momentum=0.5)
    trainer = Engine(lambda *_: network(torch.tensor([[1.0, 5.0], [3.0, 9.0]])))
    AverageWeights(average).attach(trainer)
    with torch.no_grad():
        network.weight.fill_(3.0)
    trainer.run([None])
    # after a single step the newest weights have a share of 9 / 11
    torch.testing.assert_close(average.ema_model.weight, torch.full((2,), 1 + 9 / 11 * 2))
    torch.testing.assert_close(average.ema_model.running_mean, network.running_mean)
    assert float(network.running_mean.abs().sum()) > 0
