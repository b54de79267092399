"""Which axes of a network's tensors count channels or classes, against those known from its layers."""

from __future__ import annotations

import pytest

from mist_bundle.errors import InputError
from mist_bundle.transfer.axes import Axes, build_network, find_axes

SEGRESNET = "monai.networks.nets.SegResNet"
ARGUMENTS = {"in_channels": 2, "out_channels": 3, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}


def test_the_first_and_the_last_convolution_grow() -> None:
    network = build_network(ARGUMENTS, SEGRESNET)
    axes = find_axes(SEGRESNET, ARGUMENTS, network)
    assert set(axes) == set(network.state_dict())
    growing = {name: found for name, found in axes.items() if found != Axes(channels=(), classes=())}
    assert growing == {
        "convInit.conv.weight": Axes(channels=(1,), classes=()),
        "conv_final.2.conv.weight": Axes(channels=(), classes=(0,)),
        "conv_final.2.conv.bias": Axes(channels=(), classes=(0,)),
    }


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        ("monai.networks.nets.NoSuchNet", {}, "is not a network of the installed MONAI"),
        (SEGRESNET, {"no_such_argument": 1}, "cannot be built with"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(target: str, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_network(arguments, target)
