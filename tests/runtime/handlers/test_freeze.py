"""What is frozen stands still to the last bit, also in batch statistics, and moves afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
from ignite.handlers import EMAHandler
from monai.engines import SupervisedTrainer
from torch import nn

from mist_bundle.runtime.handlers.freeze import FreezeParts
from mist_bundle.runtime.handlers.gradients import GradientRules

State = dict[str, torch.Tensor]


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2), nn.Conv3d(2, 2, 1))


def _run(network: nn.Module, epochs: int, frozen: int, optimizer: type = torch.optim.AdamW) -> list[State]:
    torch.manual_seed(1)
    batches = [{"image": torch.randn(1, 1, 6, 6, 6), "label": torch.zeros(1, 2, 6, 6, 6)} for _ in range(2)]
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=batches,
        network=network,
        optimizer=optimizer(network.parameters(), lr=0.1, weight_decay=0.1),
        loss_function=nn.MSELoss(),
        train_handlers=[FreezeParts(network, ["0", "1"], frozen), GradientRules(1.0)],
        decollate=False,
    )
    average = EMAHandler(network, momentum=0.5)
    average.attach(trainer)
    states = [copy.deepcopy(network.state_dict())]
    from ignite.engine import Events

    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: states.append(copy.deepcopy(network.state_dict())))
    trainer.run()
    return states


def _same(one: State, other: State, prefix: str) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items() if name.startswith(prefix))


def test_frozen_until_the_epoch() -> None:
    start, first, second, third = _run(_network(), epochs=3, frozen=2)
    for after in (first, second):
        assert _same(start, after, "0.")
        assert _same(start, after, "1."), "batch statistics too"
        assert not _same(start, after, "2.")
    assert not _same(second, third, "0.weight")
    assert not _same(second, third, "1.running_mean")


def test_nothing_frozen_is_the_plain_training() -> None:
    torch.manual_seed(0)
    states = _run(_network(), epochs=1, frozen=0)
    assert not _same(states[0], states[1], "0.")


class _Wrapped(nn.Module):
    """Stands for DistributedDataParallel: the network is its `module`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.module(image)


def test_a_wrapped_network_is_frozen_by_its_gradients_with_the_same_result() -> None:
    plain, wrapped = _run(_network(), 3, 2), _run(_Wrapped(_network()), 3, 2)
    for one, other in zip(plain, wrapped, strict=True):
        for name, value in one.items():
            torch.testing.assert_close(other[f"module.{name}"], value)
    assert all(torch.equal(wrapped[0][name], wrapped[2][name]) for name in wrapped[0] if name.startswith("module.0"))


def test_unknown_parts_are_named() -> None:
    with pytest.raises(ValueError, match="no encoder to freeze"):
        FreezeParts(_network(), ["encoder"], 1)
