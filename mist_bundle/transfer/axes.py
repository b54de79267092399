"""Which axes of a network's tensors count image channels or classes.

They show when the network is built with more channels or classes and the shapes are compared, so this holds for any
network, including its auxiliary heads.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.finetune import INPUT_ARGUMENTS, OUTPUT_ARGUMENTS
from mist_bundle.trust.audit.targets import MONAI_NETWORKS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Axes:
    """Axes of a tensor that count image channels and classes, `block` entries for each, channel by channel."""

    channels: tuple[int, ...]
    classes: tuple[int, ...]
    block: int = 1


def build_network(arguments: Mapping[str, Any], target: str) -> nn.Module:
    """Build a network of MONAI's or of the runtime.

    Raises:
        InputError: there is no such network, or it does not take these arguments.
    """
    module, _, name = target.replace("scripts.", "mist_bundle.runtime.", 1).rpartition(".")
    module = MONAI_NETWORKS.rstrip(".") if target.startswith(MONAI_NETWORKS) else module
    try:
        network: nn.Module = getattr(importlib.import_module(module), name)(**arguments)
    except AttributeError as error:
        raise InputError(Problem(target, f"is not a network of the installed MONAI ({error}).")) from error
    except (TypeError, ValueError, AssertionError, KeyError) as error:
        raise InputError(Problem(target, f"cannot be built with {dict(arguments)}: {error}")) from error
    return network


def find_axes(target: str, arguments: Mapping[str, Any], network: nn.Module) -> dict[str, Axes]:
    """For each tensor, the axes that grow with the number of image channels, and those that grow with the classes."""
    block = prod(getattr(network, "fold", ()))  # runtime/networks/subpixel.py: a block of voxels for each channel
    channels = _growing(target, arguments, network, INPUT_ARGUMENTS, block)
    classes = _growing(target, arguments, network, OUTPUT_ARGUMENTS, block)
    axes = {}
    for name in channels:
        axes[name] = Axes(channels=channels[name], classes=classes[name], block=block)
    return axes


def _growing(
    target: str, arguments: Mapping[str, Any], network: nn.Module, names: Sequence[str], block: int
) -> dict[str, tuple[int, ...]]:
    """For each tensor, the axes that grow with the arguments called `names`."""
    growing: dict[str, tuple[int, ...]] = dict.fromkeys(network.state_dict(), ())
    # by two and by one: a network may lose a tensor by chance, as a residual block without change of width does
    for more in (2, 1):
        larger_arguments = dict(arguments)
        for name in names:
            if name in arguments:
                larger_arguments[name] = arguments[name] + more
        larger = build_network(larger_arguments, target).state_dict()
        for name, value in network.state_dict().items():
            if name in larger:
                growing[name] = _longer_axes(value.shape, larger[name].shape, more * block)
    return growing


def _longer_axes(shape: Sequence[int], larger: Sequence[int], difference: int) -> tuple[int, ...]:
    axes = []
    for axis, (size, larger_size) in enumerate(zip(shape, larger, strict=True)):
        if larger_size == size + difference:
            axes.append(axis)
    return tuple(axes)
