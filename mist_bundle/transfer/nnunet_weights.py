"""The weights of nnU-Net's networks under the names of ours, with the axes of files (x, y, z) instead of nnU-Net's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch

from mist_bundle.errors import InputError, Problem
from mist_bundle.transfer.nnunet_network import PLAIN
from mist_bundle.transfer.renamed import misfits

Tensors = Mapping[str, torch.Tensor]
# nnU-Net stores each layer up to four times: by its name, in a list of modules, and again below the decoder
_SECOND_NAMES = (
    (r"^decoder\.encoder\.", "encoder."),
    (r"\.all_modules\.0\.", ".conv."),
    (r"\.all_modules\.1\.", ".norm."),
)
_WRAPPERS = ("module.", "_orig_mod.")  # what torch.compile and DistributedDataParallel put before names


def own_weights(
    weights: Tensors, architecture: str, levels: int, axes: Sequence[int], target: Tensors, place: str
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Rename the tensors of a checkpoint and turn their spatial axes.

    Args:
        weights: nnU-Net's network_weights.
        architecture: "PlainConvUNet" or "ResidualEncoderUNet".
        levels: stages of the encoder.
        axes: for each axis of a file, that of nnU-Net's arrays.
        target: state dict of the network that takes them.
        place: the file, for messages.

    Returns:
        The state dict, and the names of tensors that only training needs and that are left out.

    Raises:
        InputError: a tensor has no place, differs from its second copy, has another shape, or is missing; names them.
    """
    plain, unlike = _once(weights)
    problems = [Problem(place, f"stores {name} twice, with different values.") for name in unlike]
    renamed: dict[str, torch.Tensor] = {}
    left_out, unknown = [], []
    for name, value in plain.items():
        own_name = _plain_name(name, levels) if architecture == PLAIN else _residual_name(name, levels)
        if own_name is None:
            unknown.append(name)
        elif own_name == "":
            left_out.append(name)
        else:
            renamed[own_name] = _turned(value, axes)
    left_out += _without_effect(renamed, target)
    problems += misfits(renamed, target, place, architecture, unknown)
    if problems:
        raise InputError(problems)
    return {name: renamed[name] for name in target}, left_out


def _once(weights: Tensors) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Each tensor under its first name, and the names whose copies differ."""
    plain: dict[str, torch.Tensor] = {}
    unlike = []
    for written, value in weights.items():
        name = written
        for wrapper in _WRAPPERS:
            name = name.removeprefix(wrapper)
        for pattern, replacement in _SECOND_NAMES:
            name = re.sub(pattern, replacement, name)
        if name in plain and not _same(plain[name], value):
            unlike.append(written)
        plain.setdefault(name, value)
    return plain, unlike


def _same(first: torch.Tensor, second: torch.Tensor) -> bool:
    return first.shape == second.shape and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)


def _plain_name(name: str, levels: int) -> str | None:
    """Name of a tensor of PlainConvUNet in MONAI's DynUNet; None if it has none, "" if only training needs it."""
    common = _decoder_name(name, levels)
    if common is not None:
        kind, number, rest = common
        if kind == "heads":
            return ""
        wrapped = {"output": "output_block.conv.conv", "ups": f"upsamples.{number}.transp_conv.conv"}
        return f"{wrapped[kind]}.{rest}"
    match = re.fullmatch(r"encoder\.stages\.(\d+)\.0\.convs\.([01])\.(conv|norm)\.(\w+)", name)
    if match:
        level = int(match[1])
        block = "input_block" if level == 0 else f"downsamples.{level - 1}"
        return _layer(block if level < levels - 1 else "bottleneck", match[2], match[3], match[4])
    match = re.fullmatch(r"decoder\.stages\.(\d+)\.convs\.([01])\.(conv|norm)\.(\w+)", name)
    if match:
        return _layer(f"upsamples.{match[1]}.conv_block", match[2], match[3], match[4])
    return None


def _layer(block: str, number: str, kind: str, rest: str) -> str:
    which = int(number) + 1
    return f"{block}.conv{which}.conv.{rest}" if kind == "conv" else f"{block}.norm{which}.{rest}"


def _residual_name(name: str, levels: int) -> str | None:
    """The same for ResidualEncoderUNet, in runtime/networks/residual_encoder.py."""
    common = _decoder_name(name, levels)
    if common is not None:
        kind, number, rest = common
        return {"heads": "", "output": f"output.{rest}", "ups": f"ups.{number}.{rest}"}[kind]
    for pattern, replacement in (
        (r"encoder\.stem\.convs\.0\.(conv|norm)\.(\w+)", r"stem.\1.\2"),
        (r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.(conv[12])\.(conv|norm)\.(\w+)", r"encoder.\1.\2.\3.\4.\5"),
        (r"encoder\.stages\.(\d+)\.blocks\.(\d+)\.skip\.(\d+)\.(conv|norm)\.(\w+)", r"encoder.\1.\2.skip.\3.\4.\5"),
        (r"decoder\.stages\.(\d+)\.convs\.0\.(conv|norm)\.(\w+)", r"decoder.\1.\2.\3"),
    ):
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    return None


def _decoder_name(name: str, levels: int) -> tuple[str, str, str] | None:
    """("ups", "output" or "heads", number, leaf) of transposed convolutions and outputs, the same in both networks."""
    match = re.fullmatch(r"decoder\.transpconvs\.(\d+)\.(\w+)", name)
    if match:
        return "ups", match[1], match[2]
    match = re.fullmatch(r"decoder\.seg_layers\.(\d+)\.(\w+)", name)
    if match is None:
        return None
    return "output" if int(match[1]) == levels - 2 else "heads", match[1], match[2]


def _without_effect(renamed: dict[str, torch.Tensor], target: Tensors) -> list[str]:
    """Take out biases before an instance normalisation, which subtracts them again; MONAI's layers have none."""
    names = []
    for name in list(renamed):
        layer = re.fullmatch(r"(.+)\.conv([12])\.conv\.bias", name)
        if layer and name not in target and f"{layer[1]}.norm{layer[2]}.weight" in target:
            names.append(name)
            del renamed[name]
    return names


def _turned(value: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    if value.ndim != 5:
        return value.clone()
    x, y, z = axes
    return value.permute(0, 1, 2 + x, 2 + y, 2 + z).contiguous()
