"""The tensors of MIST's networks under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# wrappers of processes and of MIST itself around its networks
_WRAPPERS = re.compile(r"^(?:(?:module|_orig_mod)\.)?(?:(?:unet|model)\.)?")
# auxiliary outputs, which only training needs
_HEADS = re.compile(r"(?:deep_supervision_heads|out_blocks)\.")
_DYNUNET = {"encoder_layers": "downsamples", "decoder_layers": "upsamples"}
# MIST's last convolution of MedNeXt is an ordinary one, MONAI's a transposed one: for a kernel of 1 only the first two
# axes of its weights change places
_TRANSPOSED = "out_0.conv_out.weight"


def renamed_weights(
    weights: Mapping[str, torch.Tensor], arguments: Mapping[str, Any]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Give the tensors of a checkpoint of MIST the names that they have here.

    Args:
        weights: tensors under MIST's names.
        arguments: of our network.

    Returns:
        Tensors under our names, in the shapes of our network, and the names of those that only training needs.
    """
    modules = _modules_of_multigrid(arguments) if "heights" in arguments else _DYNUNET
    renamed: dict[str, torch.Tensor] = {}
    left_out: list[str] = []
    for written, value in weights.items():
        name = _WRAPPERS.sub("", written)
        if _HEADS.match(name):
            left_out.append(written)
            continue
        name = _renamed(name, modules)
        renamed[name] = value.transpose(0, 1) if name == _TRANSPOSED and value.ndim > 1 else value
    return renamed, left_out


def _renamed(name: str, modules: Mapping[str, str]) -> str:
    for theirs, own in modules.items():
        if name.startswith(f"{theirs}."):
            return own + name[len(theirs) :]
    return name


def _modules_of_multigrid(arguments: Mapping[str, Any]) -> dict[str, str]:
    """MIST's name of each module of FMG-Net and W-Net -> ours, which are numbered along the path through the levels."""
    bottom = len(arguments["strides"]) - 1
    steps: list[tuple[str, str]] = []  # MIST's names of the block of each step, and of the up-sampling before it
    for level in range(bottom + 1):
        steps.append((f"main_encoder.{level}", ""))
    for number, height in enumerate(arguments["heights"]):
        spike = f"spikes.{number}"
        for rise in range(height):
            steps.append((f"{spike}.up_blocks.{rise}", f"{spike}.up_samples.{rise}"))
        for fall in range(height):
            steps.append((f"{spike}.down_blocks.{fall}", ""))
    for rise in range(bottom):
        steps.append((f"main_decoder_blocks.{rise}", f"main_decoder_upsamples.{rise}"))
    modules = {"final_output_conv": "output"}
    for number, (block, upsample) in enumerate(steps):
        modules[block] = f"blocks.{number}"
        if upsample:
            modules[upsample] = f"upsamples.{number}"
    return modules
