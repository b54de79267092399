"""DynUNet with heads at their own resolution is MONAI's, in loss and gradients."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import DynUNet

from mist_bundle.runtime.losses.deep_supervision import DeepSupervisionLoss
from mist_bundle.runtime.losses.dice_cross_entropy import DiceCrossEntropyLoss
from mist_bundle.runtime.networks.dynunet import MatchedDynUNet, SupervisedDynUNet, SupervisedMatchedDynUNet


def _build(kind: type[DynUNet], *, heads: bool = True) -> DynUNet:
    torch.manual_seed(0)
    return kind(
        spatial_dims=3,
        in_channels=1,
        out_channels=3,
        kernel_size=[3] * 4,
        strides=[1, 2, 2, 2],
        upsample_kernel_size=[2, 2, 2],
        filters=[4, 8, 8, 8],
        deep_supervision=heads,
        deep_supr_num=2,
    )


def test_loss_and_gradients_are_those_of_monais_stacked_heads() -> None:
    own, monais = _build(SupervisedDynUNet), _build(DynUNet)
    assert list(own.state_dict()) == list(monais.state_dict())
    image, label = torch.randn(2, 1, 16, 16, 16), torch.randint(0, 3, (2, 1, 16, 16, 16))
    loss = DeepSupervisionLoss(DiceCrossEntropyLoss())
    losses = []
    for network in (own, monais):
        losses.append(loss(network(image), label))
        losses[-1].backward()
    assert [tuple(head.shape[2:]) for head in own(image)] == [(16, 16, 16), (8, 8, 8), (4, 4, 4)]
    torch.testing.assert_close(losses[0], losses[1])
    for ours, theirs in zip(own.parameters(), monais.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("heads", [True, False])
def test_evaluation_gives_one_output(heads: bool) -> None:
    own, monais = _build(SupervisedDynUNet, heads=heads).eval(), _build(DynUNet, heads=heads).eval()
    image = torch.randn(1, 1, 16, 16, 16)
    torch.testing.assert_close(own(image), monais(image))
    assert isinstance(_build(SupervisedDynUNet, heads=False).train()(image), torch.Tensor)


def test_the_decoder_has_the_kernels_of_its_own_levels() -> None:
    kernels = [[1, 3, 3], [3, 3, 3], [5, 3, 3]]
    strides = [[1, 1, 1], [1, 2, 2], [2, 2, 2]]
    shapes = {}
    for kind in (DynUNet, MatchedDynUNet):
        network = kind(3, 1, 2, kernels, strides, strides[1:], filters=[4, 6, 8])
        blocks = [block.conv_block.conv1.conv.weight.shape[2:] for block in network.upsamples]
        shapes[kind] = list(map(list, blocks))
    assert shapes[DynUNet] == [kernels[2], kernels[1]]
    assert shapes[MatchedDynUNet] == [kernels[1], kernels[0]]


def test_heads_of_the_matched_network_stay_at_their_resolution() -> None:
    network = _build(SupervisedMatchedDynUNet)
    assert [tuple(head.shape[2:]) for head in network(torch.randn(1, 1, 16, 16, 16))] == [(16,) * 3, (8,) * 3, (4,) * 3]
    assert list(network.state_dict()) == list(_build(MatchedDynUNet).state_dict())
