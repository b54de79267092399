"""Folding loses nothing, agrees with MONAI, and the network gives full-resolution logits."""

from __future__ import annotations

import pytest
import torch
from monai.networks.utils import pixelshuffle, pixelunshuffle

from mist_bundle.runtime.networks.subpixel import SubpixelUNet, fold_blocks, unfold_blocks


@pytest.mark.parametrize("fold", [(2, 2, 2), (2, 2, 1), (1, 4, 2)])
def test_unfolding_undoes_folding(fold: tuple[int, int, int]) -> None:
    volume = torch.rand(2, 3, 4, 8, 6)
    folded = fold_blocks(volume, fold)
    assert folded.shape[1] == 3 * fold[0] * fold[1] * fold[2]
    assert torch.equal(unfold_blocks(folded, fold), volume)
    # the first voxel of every block is the first channel of its group
    assert torch.equal(folded[:, 0], volume[:, 0, :: fold[0], :: fold[1], :: fold[2]])


def test_folding_is_monai_s_pixel_shuffle() -> None:
    volume = torch.rand(1, 2, 4, 6, 8)
    assert torch.equal(fold_blocks(volume, (2, 2, 2)), pixelunshuffle(volume, 3, 2))
    blocks = torch.rand(1, 16, 2, 3, 4)
    assert torch.equal(unfold_blocks(blocks, (2, 2, 2)), pixelshuffle(blocks, 3, 2))


@pytest.mark.parametrize("heads", [0, 1])
def test_logits_have_the_size_of_the_image(heads: int) -> None:
    strides = [[1, 1, 1], [2, 2, 1], [2, 2, 1]]
    network = SubpixelUNet(
        in_channels=2,
        out_channels=3,
        fold=(2, 2, 1),
        spatial_dims=3,
        kernel_size=[[3, 3, 3]] * 3,
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=[4, 8, 8],
        deep_supervision=heads > 0,
        deep_supr_num=1,
    )
    image = torch.rand(1, 2, 16, 24, 5)
    assert network(image).shape == ((1, 2, 3, 16, 24, 5) if heads else (1, 3, 16, 24, 5))
    assert network.eval()(image).shape == (1, 3, 16, 24, 5)


@pytest.mark.parametrize("heads", [0, 1])
def test_voxels_of_a_block_begin_with_equal_logits(heads: int) -> None:
    strides = [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]]
    options = {
        "in_channels": 1,
        "out_channels": 3,
        "fold": (2, 2, 2),
        "spatial_dims": 3,
        "kernel_size": [[3, 3, 3]] * 4,
        "strides": strides,
        "upsample_kernel_size": strides[1:],
        "filters": [4, 8, 8, 8],
        "deep_supervision": heads > 0,
        "deep_supr_num": max(1, heads),
    }
    image = torch.rand(1, 1, 32, 32, 32)
    torch.manual_seed(0)
    outputs = (
        SubpixelUNet(**options)(image).detach().unflatten(-1, (16, 2)).unflatten(-3, (16, 2)).unflatten(-5, (16, 2))
    )
    assert float(outputs.std(dim=(-1, -3, -5)).max()) < 1e-6, "every block is of one value"
    assert float(outputs.std()) > 0.01, "but blocks and classes differ"
    without = SubpixelUNet(**options, equal_start=False)(image).detach().unflatten(-1, (16, 2))
    assert float(without.std(dim=-1).max()) > 0.01
