"""Auxiliary heads: there in training, gone in evaluation, and copied with the network they belong to."""

from __future__ import annotations

import copy

import torch
from torch import nn

from mist_bundle.runtime.networks.heads import with_heads


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv3d(1, 3, kernel_size=2, stride=2)
        self.up = nn.ConvTranspose3d(3, 2, kernel_size=2, stride=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(image))


def test_list_in_training_and_tensor_in_evaluation() -> None:
    net = with_heads(_Net(), ["down"], [3], out_channels=2)
    image = torch.randn(1, 1, 4, 6, 8)
    outputs = net(image)
    assert isinstance(outputs, list)
    assert [tuple(output.shape) for output in outputs] == [(1, 2, 4, 6, 8)] * 2
    features = net.down(image)
    expected = net.auxiliary_heads[0].convolution(features).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(outputs[1], expected.repeat_interleave(2, 4))
    net.eval()
    torch.testing.assert_close(net(image), outputs[0])


def test_a_copy_has_heads_of_its_own() -> None:
    net = with_heads(_Net(), ["down"], [3], out_channels=2)
    twin = copy.deepcopy(net)
    with torch.no_grad():
        twin.down.weight.zero_()
        twin.down.bias.zero_()
        twin.auxiliary_heads[0].convolution.bias.fill_(5.0)
    assert torch.equal(twin(torch.randn(1, 1, 4, 4, 4))[1], torch.full((1, 2, 4, 4, 4), 5.0))
    assert not torch.equal(net(torch.randn(1, 1, 4, 4, 4))[1], torch.full((1, 2, 4, 4, 4), 5.0))


def test_only_the_heads_are_added_to_the_weights() -> None:
    before = set(_Net().state_dict())
    after = set(with_heads(_Net(), ["down"], [3], out_channels=2).state_dict())
    assert {name.split(".")[0] for name in after - before} == {"auxiliary_heads"}
    assert before <= after
