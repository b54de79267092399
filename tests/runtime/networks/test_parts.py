"""The network itself, wrapped or not, and the parts that its parameters belong to."""

from __future__ import annotations

import torch

from mist_bundle.runtime.networks.parts import parts_of, unwrap


class Wrapped(torch.nn.Module):
    """As DistributedDataParallel, which needs a process group."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module


class WithSetting(torch.nn.Module):
    """A network whose own `module` is not a network."""

    module = "encoder"


def test_a_wrapped_network_is_unwrapped() -> None:
    network = torch.nn.Linear(2, 2)
    assert unwrap(Wrapped(network)) is network
    assert unwrap(network) is network


def test_an_attribute_of_that_name_is_no_wrapping() -> None:
    network = WithSetting()
    assert unwrap(network) is network


def test_parts_are_whole_words_of_dotted_names() -> None:
    parts = ["encoder", "encoder.0", "enc", "head"]
    assert parts_of("encoder.0.weight", parts) == ["encoder", "encoder.0"]
    assert parts_of("encoder.01.weight", parts) == ["encoder"]
    assert parts_of("head", parts) == ["head"]
    assert parts_of("bottleneck.head.weight", parts) == []
