"""The optimizers and schedules of train.json as MONAI builds them, and one step of each against its closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from mist_bundle.bundle.configs.train import train_config
from mist_bundle.catalog.optimizers import OPTIMIZERS
from mist_bundle.catalog.schedules import SCHEDULES
from tests.planning.plans import small_plan

RATE, DECAY, START, GRADIENT = 0.1, 0.01, 2.0, 0.5


def _parser(**asked: Any) -> ConfigParser:
    config = train_config(small_plan(**asked), "name", "id", "..")
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, START)
    parts = {key: config[key] for key in ("optimizer", "learning_rate", "weight_decay")}
    return ConfigParser({**parts, "network": network})


# what is left of the weight after steps with a constant gradient, from the papers' formulas
MOMENTUM = {"sgd": 0.9, "sgd-nnunet": 0.99}


def _expected(name: str, steps: int) -> float:
    weight, first, second, velocity = START, 0.0, 0.0, 0.0
    for step in range(1, steps + 1):
        gradient = GRADIENT if name == "adamw" else GRADIENT + DECAY * weight
        if name in MOMENTUM:  # Nesterov, as torch writes it: the first velocity is the gradient
            velocity = gradient if step == 1 else MOMENTUM[name] * velocity + gradient
            weight -= RATE * (gradient + MOMENTUM[name] * velocity)
            continue
        if name == "adamw":
            weight *= 1 - RATE * DECAY
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        weight -= RATE * (first / (1 - 0.9**step)) / ((second / (1 - 0.999**step)) ** 0.5 + 1e-8)
    return weight


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizer_takes_the_steps_of_its_formula(name: str) -> None:
    parser = _parser(optimizer=name, learning_rate=RATE, weight_decay=DECAY)
    optimizer = parser.get_parsed_content("optimizer")
    network = parser.get_parsed_content("network")
    for _ in range(3):
        network.weight.grad = torch.full_like(network.weight, GRADIENT)
        optimizer.step()
    assert float(network.weight.detach()) == pytest.approx(_expected(name, 3), rel=1e-5)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedule_stands_in_the_configuration(name: str) -> None:
    config = train_config(small_plan(schedule=name, warmup_steps=3), "name", "id", "..")
    assert (config["schedule"], config["warmup_steps"]) == (name, 3)
    assert config["lr_scheduler"]["shape"] == "@schedule"
    assert config["lr_scheduler"]["warmup_steps"] == "@warmup_steps"
    assert config["lr_scheduler"]["total_steps"] == "$@train#trainer#max_epochs * @steps_per_epoch"


def test_chosen_settings_can_be_overridden() -> None:
    asked = {"l1_penalty": 1e-5, "grad_clip_norm": 2.0, "accumulation_steps": 2, "ema_decay": 0.9}
    asked |= {"early_stopping": 4, "precision": "fp32", "compile": True}
    config = train_config(small_plan(**asked), "name", "id", "..")
    assert {name: config[name] for name in asked} == asked
