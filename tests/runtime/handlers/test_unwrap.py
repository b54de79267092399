"""The network itself, wrapped or not."""

from __future__ import annotations

import torch

from mist_bundle.runtime.handlers.unwrap import unwrap


class Wrapped(torch.nn.Module):
    """As DistributedDataParallel, which needs a process group."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module


class WithSetting(torch.nn.Module):
    """A network whose own `module` is no network."""

    module = "encoder"


def test_a_wrapped_network_is_unwrapped() -> None:
    network = torch.nn.Linear(2, 2)
    assert unwrap(Wrapped(network)) is network
    assert unwrap(network) is network


def test_an_attribute_of_that_name_is_no_wrapping() -> None:
    network = WithSetting()
    assert unwrap(network) is network
