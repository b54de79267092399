"""Penalty, clipping and accumulation against the plain torch loop with the penalty in the loss."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from monai.engines import SupervisedTrainer

from mist_bundle.runtime.handlers.gradients import FiniteLossGuard, GradientRules, exchange_once_a_step

L1 = 0.03


def _network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


def _batches(count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        {"image": torch.randn(3, 5, generator=generator), "label": torch.randn(3, 2, generator=generator)}
        for _ in range(count)
    ]


def _train(batches: list[dict[str, torch.Tensor]], rules: GradientRules, accumulation: int) -> torch.nn.Module:
    network = _network()
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=2,
        train_data_loader=batches,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9),
        loss_function=torch.nn.MSELoss(),
        train_handlers=[rules],
        decollate=False,
        accumulation_steps=accumulation,
    )
    trainer.run()
    return network


def _plain_loop(batches: list[dict[str, torch.Tensor]], accumulation: int, max_norm: float) -> torch.nn.Module:
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9)
    for _ in range(2):
        for start in range(0, len(batches), accumulation):
            group = batches[start : start + accumulation]
            optimizer.zero_grad()
            loss = sum(torch.nn.functional.mse_loss(network(b["image"]), b["label"]) for b in group) / accumulation
            loss = loss + L1 * sum(parameter.abs().sum() for parameter in network.parameters())
            loss.backward()
            if max_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), max_norm)
            optimizer.step()
    return network


# five batches by two: the last group of an epoch is a single batch
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("max_norm", [0.0, 0.4])
def test_equals_the_penalty_in_the_loss(accumulation: int, max_norm: float) -> None:
    batches = _batches(5)
    trained = _train(batches, GradientRules(max_norm=max_norm, l1_penalty=L1), accumulation)
    expected = _plain_loop(batches, accumulation, max_norm)
    for own, other in zip(trained.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_the_norm_in_this_test_does_clip() -> None:
    first = _plain_loop(_batches(5), 1, 0.0)
    second = _plain_loop(_batches(5), 1, 0.4)
    assert not torch.allclose(next(first.parameters()), next(second.parameters()), atol=1e-3)


def test_off_touches_nothing() -> None:
    rules = GradientRules()
    trained = _train(_batches(3), rules, 1)
    plain = _network()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.5, momentum=0.9)
    for batch in _batches(3) * 2:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(plain(batch["image"]), batch["label"]).backward()
        optimizer.step()
    assert all(torch.equal(own, other) for own, other in zip(trained.parameters(), plain.parameters(), strict=True))


def test_scaled_gradients_are_unscaled_once_and_before_the_rules() -> None:
    network = _network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    batches = _batches(2)
    engine = SimpleNamespace(
        network=network,
        optimizer=optimizer,
        scaler=scaler,
        accumulation_steps=2,
        state=SimpleNamespace(iteration=0, epoch_length=2),
    )
    rules = GradientRules(max_norm=0.4, l1_penalty=L1)
    for batch in batches:
        engine.state.iteration += 1
        scaler.scale(torch.nn.functional.mse_loss(network(batch["image"]), batch["label"]) / 2).backward()
        rules(engine)  # type: ignore[arg-type]
    norm = torch.stack([parameter.grad.norm() for parameter in network.parameters()]).norm()
    assert float(norm) == pytest.approx(0.4, rel=1e-4)
    scaler.step(optimizer)  # raises where gradients were unscaled twice
    scaler.update()


@pytest.mark.parametrize("name", ["max_norm", "l1_penalty"])
def test_negative_values_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is -1"):
        GradientRules(**{name: -1})


class _NamedBatches(list[Any]):
    """What a training loader says of the batch that it handed out last."""

    place = (3, 5)

    def case_names(self, epoch: int, number: int) -> list[str]:
        return ["case_7"] if (epoch, number) == (3, 5) else []


def test_loss_that_is_not_a_number_stops_the_training_and_names_the_cases() -> None:
    batches = _NamedBatches([{"image": torch.full((1, 5), float("nan")), "label": torch.zeros(1, 2)}])
    network = _network()
    before = [parameter.clone() for parameter in network.parameters()]
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=batches,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        train_handlers=[FiniteLossGuard(loader=batches)],
        decollate=False,
    )
    with pytest.raises(FloatingPointError, match=r"the loss is nan in epoch 1, iteration 1, cases case_7\."):
        trainer.run()
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


def test_on_a_device_a_loss_is_looked_at_an_iteration_later_and_before_an_epoch_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no such device here: a loss that says it lies on one stands for it."""
    guard = FiniteLossGuard()
    engine = SimpleNamespace(state=SimpleNamespace(output={}, epoch=1, iteration=0))

    def iterate(loss: float) -> None:
        engine.state.iteration += 1
        engine.state.output = {"loss": _DeviceLoss(loss)}
        guard(engine)  # type: ignore[arg-type]

    iterate(0.5)
    iterate(float("inf"))  # nothing waits for it …
    with pytest.raises(FloatingPointError, match="the loss is inf in epoch 1, iteration 2"):
        iterate(0.5)  # … before the next
    guard = FiniteLossGuard()
    iterate(float("nan"))
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        guard.check()  # what the end of an epoch does


class _DeviceLoss:
    """A loss of an accelerator that is not a CUDA device, as far as the guard looks at it."""

    def __init__(self, value: float) -> None:
        self.device = torch.device("meta")
        self._value = value

    def detach(self) -> _DeviceLoss:
        return self

    def to(self, device: str, non_blocking: bool) -> torch.Tensor:
        assert (device, non_blocking) == ("cpu", True)
        return torch.tensor(self._value)


@pytest.mark.parametrize(
    ("passes", "exchanged"), [(1, [True] * 4), (2, [False, True] * 2), (3, [False, False, True, True])]
)
def test_processes_exchange_gradients_only_where_the_optimizer_steps(passes: int, exchanged: list[bool]) -> None:
    wrapped = torch.nn.parallel.DistributedDataParallel.__new__(torch.nn.parallel.DistributedDataParallel)
    torch.nn.Module.__init__(wrapped)  # no process group is needed for what is looked at
    engine = SimpleNamespace(
        network=wrapped, accumulation_steps=passes, state=SimpleNamespace(iteration=0, epoch_length=4)
    )
    seen = []
    for _ in range(4):
        engine.state.iteration += 1
        exchange_once_a_step(engine)  # type: ignore[arg-type]
        seen.append(wrapped.require_backward_grad_sync)
    assert seen == exchanged
