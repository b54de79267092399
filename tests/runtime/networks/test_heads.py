"""Auxiliary heads: there in training, gone in evaluation, and copied with the network they belong to."""

from __future__ import annotations

import copy

import torch
from torch import nn

from mist_bundle.runtime.networks.heads import with_heads


def _net() -> nn.Module:
    fine = nn.Conv3d(1, 2, kernel_size=1)
    return nn.Sequential(nn.Conv3d(1, 3, kernel_size=2, stride=2), nn.ConvTranspose3d(3, 1, 2, stride=2), fine)


def test_list_in_training_and_tensor_in_evaluation() -> None:
    net = with_heads(_net(), ["0"], [3], out_channels=2)
    image = torch.randn(1, 1, 4, 6, 8)
    outputs = net(image)
    assert isinstance(outputs, list)
    assert [tuple(output.shape) for output in outputs] == [(1, 2, 4, 6, 8)] * 2
    features = net[0](image)
    expected = net.auxiliary_heads[0].convolution(features).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(outputs[1], expected.repeat_interleave(2, 4))
    net.eval()
    torch.testing.assert_close(net(image), outputs[0])


def test_a_copy_has_heads_of_its_own() -> None:
    net = with_heads(_net(), ["0"], [3], out_channels=2)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin[0].weight.zero_()
        twin[0].bias.zero_()
        twin.auxiliary_heads[0].convolution.bias.fill_(5.0)
    assert torch.equal(twin(torch.randn(1, 1, 4, 4, 4))[1], torch.full((1, 2, 4, 4, 4), 5.0))
    assert not torch.equal(net(torch.randn(1, 1, 4, 4, 4))[1], torch.full((1, 2, 4, 4, 4), 5.0))


def test_only_the_heads_are_added_to_the_weights() -> None:
    before = set(_net().state_dict())
    after = set(with_heads(_net(), ["0"], [3], out_channels=2).state_dict())
    assert {name.split(".")[0] for name in after - before} == {"auxiliary_heads"}
    assert before <= after
