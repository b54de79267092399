"""Stages of networks whose build is known."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from mist_bundle.errors import InputError
from mist_bundle.transfer.axes import build_network
from mist_bundle.transfer.stages import layer_rates, network_stages
from tests.transfer.test_match import ARGUMENTS, DYNUNET


def _stages(target: str, arguments: dict[str, Any], patch: int = 16) -> tuple[nn.Module, Any]:
    network = build_network(arguments, target)
    return network, network_stages(network, arguments["in_channels"], (patch, patch, patch))


def test_dynunet() -> None:
    network, stages = _stages(DYNUNET, ARGUMENTS)
    named = [stages.prefixes([index]) for index in range(len(stages.names))]
    assert named[0] == ("input_block",)
    assert named[1] == ("downsamples",)
    assert named[2] == ("bottleneck",)
    assert "upsamples.0" in named[3]
    assert {"upsamples.1", "output_block"} <= set(named[4])
    assert stages.prefixes(range(stages.num_encoder)) == ("input_block", "downsamples", "bottleneck")
    assert sorted(name for stage in stages.names for name in stage) == sorted(n for n, _ in network.named_parameters())


def test_a_recursive_unet() -> None:
    arguments = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "channels": [4, 8, 16], "strides": [2, 2]}
    network, stages = _stages("monai.networks.nets.UNet", arguments)
    encoder = stages.prefixes(range(stages.num_encoder))
    # down, down, bottom; what comes up is model.1.submodule.2 and model.2
    assert encoder == ("model.0", "model.1.submodule.0", "model.1.submodule.1")
    assert all(any(True for name, _ in network.named_parameters() if name.startswith(part)) for part in encoder)


def test_segresnet_and_swin() -> None:
    arguments = {"in_channels": 1, "out_channels": 2, "init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]}
    _, stages = _stages("monai.networks.nets.SegResNet", arguments)
    # the first thing on the way up is a convolution at the coarsest resolution, before the up-sampling
    assert stages.prefixes(range(stages.num_encoder)) == ("convInit", "down_layers", "up_samples.0")
    _, stages = _stages("monai.networks.nets.SwinUNETR", {"in_channels": 1, "out_channels": 2, "feature_size": 12}, 64)
    encoder = stages.prefixes(range(stages.num_encoder))
    assert "swinViT" in encoder
    assert not any(part.startswith("decoder") or part == "out" for part in encoder)


def test_rates_fall_from_output_to_input() -> None:
    _, stages = _stages(DYNUNET, ARGUMENTS)
    rates = layer_rates(stages, 0.5)
    assert rates["output_block"] == rates["upsamples.1"] == 1
    assert rates["upsamples.0"] == 0.5
    assert rates["bottleneck"] == 0.25
    assert rates["downsamples"] == 0.125
    assert rates["input_block"] == 0.0625


def test_a_patch_that_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match="15 x 15 x 15"):
        _stages(DYNUNET, ARGUMENTS, 15)
