"""Training begins from a file, and a resumed one does not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine
from monai.networks.nets import DynUNet
from safetensors.torch import save_file

from mist_bundle.runtime.handlers.initial_weights import InitialWeights
from tests.transfer.test_match import ARGUMENTS

TRAINER = Engine(lambda engine, batch: None)


def _network(seed: int) -> DynUNet:
    torch.manual_seed(seed)
    return DynUNet(**ARGUMENTS)


def _file(path: Path, network: torch.nn.Module, **changed: torch.Tensor) -> str:
    save_file({**{name: value.clone() for name, value in network.named_parameters()}, **changed}, path)
    return str(path)


def _equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_network_and_average_take_the_weights(tmp_path: Path) -> None:
    source, network = _network(1), _network(2)
    average = copy.deepcopy(network)
    assert not _equal(source, network)
    InitialWeights(_file(tmp_path / "w.safetensors", source), [network, average]).attach(TRAINER)
    assert _equal(source, network)
    assert _equal(source, average)


def test_a_resumed_training_keeps_its_own(tmp_path: Path) -> None:
    path = _file(tmp_path / "w.safetensors", _network(1))
    network, before = _network(2), _network(2)
    (tmp_path / "last.pt").touch()
    InitialWeights(path, [network], str(tmp_path / "last.pt"), resume=True).attach(TRAINER)
    assert _equal(network, before)
    InitialWeights(path, [network], str(tmp_path / "none.pt"), resume=True).attach(TRAINER)
    assert _equal(network, _network(1)), "nothing to resume: a new training"


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    path = _file(tmp_path / "w.safetensors", _network(1), extra=torch.zeros(1))
    with pytest.raises(ValueError, match="extra is unknown"):
        InitialWeights(path, [_network(2)]).attach(TRAINER)
    with pytest.raises(FileNotFoundError, match="get it again"):
        InitialWeights(str(tmp_path / "none.safetensors"), [_network(2)]).attach(TRAINER)
