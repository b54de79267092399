"""Which of nnU-Net's networks can be built here."""

from __future__ import annotations

from typing import Any

import pytest

from mist_bundle.transfer.nnunet_network import PLAIN, RESIDUAL, unusual

ARGUMENTS: dict[str, Any] = {
    "n_stages": 3,
    "features_per_stage": [4, 8, 8],
    "kernel_sizes": [[3, 3, 3]] * 3,
    "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
    "n_conv_per_stage": [2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2],
}


def test_the_usual_network_can_be_built() -> None:
    assert unusual(PLAIN, ARGUMENTS) == []
    residual = {**ARGUMENTS, "n_blocks_per_stage": [1, 3, 4], "n_conv_per_stage_decoder": [1, 1]}
    assert unusual(RESIDUAL, residual) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_stages": 2}, "for each of its n_stages"),
        ({"strides": [[1, 1, 1], [4, 2, 2], [2, 2, 2]]}, "has the stride [4, 2, 2]; expected 1 and 2."),
        ({"kernel_sizes": [[3, 3, 3], [2, 3, 3], [3, 3, 3]]}, "has the kernel [2, 3, 3]; expected odd sizes."),
        ({"n_conv_per_stage": [2, 3, 2]}, "has n_conv_per_stage [2, 3, 2]; expected 2 at every level."),
        ({"dropout_op": "torch.nn.Dropout3d"}, "has dropout_op 'torch.nn.Dropout3d'; expected None."),
        ({"squeeze_excitation": True}, "has squeeze_excitation True; expected False."),
    ],
)
def test_what_no_network_here_computes_is_named(change: dict[str, Any], words: str) -> None:
    (message,) = unusual(PLAIN, {**ARGUMENTS, **change})
    assert words in message


def test_a_residual_network_needs_its_numbers_of_blocks() -> None:
    (message,) = unusual(RESIDUAL, {**ARGUMENTS, "n_conv_per_stage_decoder": [1, 1]})
    assert "has n_blocks_per_stage None; expected a number for each stage." in message
