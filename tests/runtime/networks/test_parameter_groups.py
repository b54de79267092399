"""Learning rates of parts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mist_bundle.runtime.handlers.schedule import WarmupSchedule
from mist_bundle.runtime.networks.parameter_groups import parameter_groups


def _network() -> nn.Module:
    return nn.ModuleDict({"a": nn.Linear(1, 1), "ab": nn.Linear(1, 1), "b": nn.Sequential(nn.Linear(1, 1))})


def test_each_parameter_is_in_one_group_of_its_rate() -> None:
    network = _network()
    groups = parameter_groups(network, 0.1, {"a": 0.5, "b": 0.25, "b.0.bias": 1.0})
    rates = {id(value): group["lr"] for group in groups for value in group["params"]}
    named = {name: rates[id(value)] for name, value in network.named_parameters()}
    assert named == pytest.approx(
        {"a.weight": 0.05, "a.bias": 0.05, "ab.weight": 0.1, "ab.bias": 0.1, "b.0.weight": 0.025, "b.0.bias": 0.1}
    )
    assert groups[0]["lr"] == pytest.approx(0.1), "the rate that is reported"
    assert sum(len(group["params"]) for group in groups) == 6


def test_schedules_scale_all_groups_alike() -> None:
    optimizer = torch.optim.SGD(parameter_groups(_network(), 0.1, {"a": 0.5}), lr=0.1)
    schedule = WarmupSchedule(optimizer, "cosine", total_steps=4)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.025])


def test_unknown_parts_are_named() -> None:
    with pytest.raises(ValueError, match="no encoder"):
        parameter_groups(_network(), 0.1, {"encoder": 0.5})
