"""Schedules against torch's own and the closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from ignite.engine import Engine

from mist_bundle.runtime.handlers.schedule import ScheduleStepper, WarmupSchedule, rate_factor


def _rates(schedule_of, steps: int) -> list[float]:  # type: ignore[no-untyped-def]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = schedule_of(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_cosine_is_torchs_cosine() -> None:
    own = _rates(lambda optimizer: WarmupSchedule(optimizer, "cosine", 20), 20)
    torchs = _rates(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20), 20)
    assert own == pytest.approx(torchs)


def test_polynomial_is_torchs_polynomial() -> None:
    own = _rates(lambda optimizer: WarmupSchedule(optimizer, "polynomial", 20, power=0.9), 20)
    torchs = _rates(lambda optimizer: torch.optim.lr_scheduler.PolynomialLR(optimizer, 20, power=0.9), 20)
    assert own == pytest.approx(torchs)


def test_warm_up_rises_and_never_outlasts_the_run() -> None:
    factors = [rate_factor(step, 100, 10, "cosine") for step in range(100)]
    assert all(later > earlier for earlier, later in itertools.pairwise(factors[:11]))
    assert factors[10] == 1.0
    assert factors[99] == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))


@pytest.mark.parametrize("asked", [100, 1000])
def test_warm_up_that_does_not_fit_takes_a_tenth_of_the_run_and_says_so(
    asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    rates = _rates(lambda optimizer: WarmupSchedule(optimizer, "constant", 100, warmup_steps=asked), 100)
    assert rates == pytest.approx([0.5 * min(1, (step + 1) / 11) for step in range(100)])
    assert f"A warm-up of {asked} steps does not fit a run of 100; it takes 10 steps instead." in caplog.text


def test_fraction_of_a_warm_up_step_is_dropped_and_a_run_of_one_step_has_none(caplog: pytest.LogCaptureFixture) -> None:
    assert _rates(lambda optimizer: WarmupSchedule(optimizer, "constant", 4, warmup_steps=1.9), 2) == [0.25, 0.5]
    assert _rates(lambda optimizer: WarmupSchedule(optimizer, "cosine", 1, warmup_steps=0.9), 1) == [0.5]
    assert not caplog.records


def test_negative_warm_up_is_refused() -> None:
    with pytest.raises(ValueError, match="warmup_steps is -1"):
        _rates(lambda optimizer: WarmupSchedule(optimizer, "cosine", 5, warmup_steps=-1), 1)


def test_constant_stays() -> None:
    assert set(_rates(lambda optimizer: WarmupSchedule(optimizer, "constant", 5), 8)) == {0.5}


def test_rate_stays_defined_beyond_the_end() -> None:
    assert rate_factor(500, 100, 10, "polynomial") == rate_factor(99, 100, 10, "polynomial") > 0


def test_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected constant, cosine or polynomial"):
        _rates(lambda optimizer: WarmupSchedule(optimizer, "cosinus", 5), 1)


def _run_rounds(schedule: WarmupSchedule, rounds: int, epochs: int, steps: int) -> list[list[float]]:
    """The rates of each round of an engine that continues as MONAI's federated client makes it continue."""
    rates: list[float] = []

    def step(engine: Engine, batch: int) -> None:
        del engine, batch
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()

    engine = Engine(step)
    ScheduleStepper(schedule).attach(engine)
    by_round = []
    for _ in range(rounds):
        rates.clear()
        engine.run(range(steps), max_epochs=engine.state.epoch + epochs)
        by_round.append(list(rates))
    return by_round


def test_each_federated_round_starts_at_the_full_rate() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = WarmupSchedule(optimizer, "cosine", total_steps=6)
    first, second, third = _run_rounds(schedule, rounds=3, epochs=2, steps=3)
    assert first == pytest.approx([0.25 * (1 + math.cos(math.pi * step / 6)) for step in range(6)])
    assert second == pytest.approx(first)
    assert third == pytest.approx(first)


def test_a_restarted_schedule_is_kept_in_its_state() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = WarmupSchedule(optimizer, "cosine", total_steps=6)
    _run_rounds(schedule, rounds=2, epochs=2, steps=3)
    restored = WarmupSchedule(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5), "cosine", total_steps=6)
    restored.load_state_dict(schedule.state_dict())
    assert restored.is_over
    assert (restored.first_step, restored.total_steps) == (6, 6)


def test_a_run_that_is_resumed_with_more_epochs_follows_the_longer_schedule() -> None:
    short, long = (
        WarmupSchedule(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5), "cosine", total, warmup_steps=2)
        for total in (4, 12)
    )
    for _ in range(3):
        short.optimizer.step()
        short.step()
    long.load_state_dict(short.state_dict())
    long.optimizer.step()
    long.step()
    assert long.get_last_lr() == pytest.approx([0.5 * rate_factor(4, 12, 2, "cosine")])
