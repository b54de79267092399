"""What is counted of a pass forward, where it can be counted by hand."""

from __future__ import annotations

import torch
from torch import nn

from mist_bundle.bundle.accounting import account, account_network


def test_a_convolution_keeps_its_input_once_and_no_parameter() -> None:
    network = nn.Sequential(nn.Conv3d(2, 4, 3, padding=1), nn.LeakyReLU(), nn.Conv3d(4, 1, 1)).to("meta")
    found = account_network(network, 2, (8, 8, 8), batch=3)
    # image, first output (before the rectifier), and what it made of it
    assert found.saved_values == 3 * 8**3 * (2 + 4 + 4)
    assert found.flops == 3 * 8**3 * 2 * (27 * 2 * 4 + 4)


def test_what_is_kept_is_what_pytorch_needs_on_the_cpu() -> None:
    network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.InstanceNorm3d(8), nn.ReLU(inplace=True))
    image = torch.zeros(1, 1, 16, 16, 16)
    real = account(lambda: network(image), network.parameters()).saved_values
    network.to("meta")
    assert abs(account_network(network, 1, (16, 16, 16)).saved_values - real) < 64  # means and deviations
