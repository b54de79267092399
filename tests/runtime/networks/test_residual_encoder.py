"""Against dynamic-network-architectures where it is installed (pip install dynamic-network-architectures)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mist_bundle.runtime.networks.residual_encoder import ResidualEncoderUNet, SupervisedResidualEncoderUNet

KERNELS = [[3, 3, 1], [3, 3, 3], [3, 3, 3], [3, 3, 3]]
STRIDES = [[1, 1, 1], [2, 2, 1], [2, 2, 2], [2, 2, 2]]
FILTERS, BLOCKS = [4, 8, 16, 20], [1, 3, 4, 2]


def _build(kind: type[ResidualEncoderUNet] = SupervisedResidualEncoderUNet, **options: object) -> ResidualEncoderUNet:
    torch.manual_seed(0)
    return kind(2, 3, KERNELS, STRIDES, FILTERS, BLOCKS, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("heads", [0, 1, 2])
def test_outputs_have_the_shapes_of_their_levels(heads: int) -> None:
    network = _build(deep_supervision=heads > 0, deep_supr_num=max(1, heads))
    image = torch.randn(1, 2, 16, 16, 8)
    outputs = network.train()(image)
    shapes = [tuple(output.shape) for output in outputs] if heads else [tuple(outputs.shape)]
    assert shapes == [(1, 3, 16, 16, 8), (1, 3, 8, 8, 8), (1, 3, 4, 4, 4)][: heads + 1]
    assert network.eval()(image).shape == (1, 3, 16, 16, 8)


def test_inference_scripts_and_gives_what_training_learned() -> None:
    trained = _build(deep_supervision=True, deep_supr_num=2).eval()
    plain = _build(ResidualEncoderUNet).eval()
    plain.load_state_dict(trained.state_dict(), strict=False)
    scripted = torch.jit.script(plain)
    image = torch.randn(1, 2, 16, 16, 8)
    torch.testing.assert_close(scripted(image), trained(image))


def test_blocks_begin_as_their_shortcut_and_learn() -> None:
    network = _build()
    (block, *_) = network.encoder[1]
    features = torch.randn(1, 4, 8, 8, 4)
    torch.testing.assert_close(block(features), nn.functional.leaky_relu(block.skip(features), 0.01))
    network(torch.randn(1, 2, 16, 16, 8)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_parameters_and_outputs_are_those_of_nnunets_own_code() -> None:
    architectures = pytest.importorskip("dynamic_network_architectures.architectures.unet")
    torch.manual_seed(1)
    theirs = architectures.ResidualEncoderUNet(
        input_channels=2,
        n_stages=4,
        features_per_stage=FILTERS,
        conv_op=nn.Conv3d,
        kernel_sizes=KERNELS,
        strides=STRIDES,
        n_blocks_per_stage=BLOCKS,
        num_classes=3,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )
    own = _build(deep_supervision=True, deep_supr_num=2)
    _copy(theirs, own)
    image = torch.randn(2, 2, 16, 16, 8)
    for ours, expected in zip(own.train()(image), theirs(image), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    # their decoder has an output at each level; ours has as many as were asked for
    assert sum(parameter.numel() for parameter in own.parameters()) == sum(
        parameter.numel() for parameter in theirs.parameters()
    )


def _copy(theirs: nn.Module, own: nn.Module) -> None:
    """Weights in the order of computation; both list each stage's layers in it."""
    parts = [
        (theirs.encoder.stem, own.stem),
        *zip(theirs.encoder.stages, own.encoder, strict=True),
        *zip(theirs.decoder.transpconvs, own.ups, strict=True),
        *zip(theirs.decoder.stages, own.decoder, strict=True),
        (theirs.decoder.seg_layers[-1], own.output),
        *zip(list(theirs.decoder.seg_layers)[-2::-1], own.deep_supervision_heads, strict=True),
    ]
    with torch.no_grad():
        for source, target in parts:
            for given, taken in zip(source.parameters(), target.parameters(), strict=True):
                taken.copy_(given)
