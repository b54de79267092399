"""Schedules against torch's own and the closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from mist_bundle.runtime.handlers.schedule import WarmupSchedule, rate_factor


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
    assert _rates(lambda optimizer: WarmupSchedule(optimizer, "cosine", 1, warmup_fraction=0.9), 1) == [0.5]


def test_constant_stays() -> None:
    assert set(_rates(lambda optimizer: WarmupSchedule(optimizer, "constant", 5), 8)) == {0.5}


def test_rate_stays_defined_beyond_the_end() -> None:
    assert rate_factor(500, 100, 10, "polynomial") == rate_factor(99, 100, 10, "polynomial") > 0


def test_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of constant, cosine, polynomial"):
        _rates(lambda optimizer: WarmupSchedule(optimizer, "cosinus", 5), 1)
