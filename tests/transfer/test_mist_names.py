"""MIST's names of tensors; that they are complete is seen beside MIST itself (test_mist_itself.py)."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.transfer.mist_names import renamed_weights

MULTIGRID = {"heights": [1, 2], "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]]}


@pytest.mark.parametrize(
    ("theirs", "own"),
    [
        # the path: 0 1 2 | 1 2 | 1 0 1 2 | 1 0
        ("main_encoder.2.conv1.conv.weight", "blocks.2.conv1.conv.weight"),
        ("spikes.0.up_blocks.0.norm1.bias", "blocks.3.norm1.bias"),
        ("spikes.0.up_samples.0.weight", "upsamples.3.weight"),
        ("spikes.0.down_blocks.0.norm1.bias", "blocks.4.norm1.bias"),
        ("spikes.1.up_blocks.1.norm1.bias", "blocks.6.norm1.bias"),
        ("spikes.1.up_samples.1.weight", "upsamples.6.weight"),
        ("spikes.1.down_blocks.1.norm1.bias", "blocks.8.norm1.bias"),
        ("main_decoder_blocks.0.norm1.bias", "blocks.9.norm1.bias"),
        ("main_decoder_upsamples.1.weight", "upsamples.10.weight"),
        ("module.final_output_conv.bias", "output.bias"),
    ],
)
def test_modules_of_multigrid_networks(theirs: str, own: str) -> None:
    renamed, left_out = renamed_weights(
        {theirs: torch.zeros(2), "deep_supervision_heads.0.bias": torch.zeros(1)}, MULTIGRID
    )
    assert list(renamed) == [own]
    assert left_out == ["deep_supervision_heads.0.bias"]


def test_the_last_convolution_of_mednext_is_a_transposed_one_here() -> None:
    weight = torch.arange(6.0).reshape(2, 3, 1, 1, 1)
    theirs = {"out_0.conv_out.weight": weight, "out_blocks.0.conv_out.weight": weight, "stem.bias": torch.zeros(2)}
    renamed, left_out = renamed_weights(theirs, {})
    assert list(renamed) == ["out_0.conv_out.weight", "stem.bias"]
    assert left_out == ["out_blocks.0.conv_out.weight"]
    image = torch.randn(1, 3, 2, 2, 2)
    expected = torch.nn.functional.conv3d(image, weight)
    torch.testing.assert_close(torch.nn.functional.conv_transpose3d(image, renamed["out_0.conv_out.weight"]), expected)


def test_wrappers_are_taken_off() -> None:
    names = ["module.unet.encoder_layers.0.a", "_orig_mod.model.decoder_layers.1.a", "unet.output_block.a"]
    renamed, _ = renamed_weights(dict.fromkeys(names, torch.zeros(1)), {})
    assert list(renamed) == ["downsamples.0.a", "upsamples.1.a", "output_block.a"]
