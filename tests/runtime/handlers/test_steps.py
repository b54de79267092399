"""Schedule and moving average follow the optimizer's steps, not the batches; independent count: the optimizer's own."""

from __future__ import annotations

import pytest
import torch
from ignite.engine import Events
from ignite.handlers import EMAHandler
from monai.engines import SupervisedTrainer

from mist_bundle.runtime.handlers.average import AverageWeights
from mist_bundle.runtime.handlers.schedule import ScheduleStepper, WarmupSchedule
from mist_bundle.runtime.handlers.steps import optimizer_stepped


class _Recorder:
    """Notes the rate of every step that the optimizer really takes."""

    def __init__(self, optimizer: torch.optim.Optimizer, network: torch.nn.Module) -> None:
        self.rates: list[float] = []
        self.weights: list[torch.Tensor] = []
        optimizer.register_step_pre_hook(lambda *_: self.rates.append(optimizer.param_groups[0]["lr"]))
        optimizer.register_step_post_hook(lambda *_: self.weights.append(network.weight.detach().clone()))


@pytest.mark.parametrize(("batches", "accumulation", "steps"), [(6, 1, 6), (6, 3, 2), (5, 2, 3)])
def test_rate_average_and_event_follow_the_optimizer(batches: int, accumulation: int, steps: int) -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    recorder = _Recorder(optimizer, network)
    epochs, decay = 2, 0.8
    schedule = WarmupSchedule(optimizer, "cosine", steps * epochs, warmup_steps=1)
    average = EMAHandler(network, momentum=1 - decay)
    expected = network.weight.detach().clone()
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=[{"image": torch.randn(2, 3), "label": torch.randn(2, 1)} for _ in range(batches)],
        network=network,
        optimizer=optimizer,
        loss_function=torch.nn.MSELoss(),
        train_handlers=[AverageWeights(average), ScheduleStepper(schedule)],
        decollate=False,
        accumulation_steps=accumulation,
    )
    seen: list[int] = []
    trainer.add_event_handler(optimizer_stepped(), lambda engine: seen.append(engine.state.iteration))
    trainer.run()
    assert len(seen) == len(recorder.rates) == steps * epochs
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([torch.zeros(1)], lr=1.0), steps * epochs - 1)
    for rate in recorder.rates[1:]:  # after one step of warm-up, torch's own cosine over the rest
        assert rate == pytest.approx(torchs.get_last_lr()[0])
        torchs.optimizer.step()
        torchs.step()
    for updates, weight in enumerate(recorder.weights, start=1):
        share = min(decay, (1 + updates) / (10 + updates))  # TensorFlow's rule
        expected = share * expected + (1 - share) * weight
    torch.testing.assert_close(average.ema_model.weight, expected)


def test_without_accumulation_every_iteration_steps() -> None:
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[{"image": torch.zeros(1, 2), "label": torch.zeros(1, 2)}] * 3,
        network=torch.nn.Linear(2, 2),
        optimizer=torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        decollate=False,
    )
    counts = {"stepped": 0, "iterations": 0}
    trainer.add_event_handler(optimizer_stepped(), lambda: counts.update(stepped=counts["stepped"] + 1))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: counts.update(iterations=counts["iterations"] + 1))
    trainer.run()
    assert counts == {"stepped": 3, "iterations": 3}
