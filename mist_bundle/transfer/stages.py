"""The stages of a network from its input to its output, as a patch passes through them.

Consecutive layers at the same resolution form a stage. The encoder is everything up to the last stage
at the coarsest resolution. Nothing is computed: the patch has a shape and no values (torch's meta device).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.plan import Plan
from mist_bundle.transfer.axes import build_network

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Stages:
    """Names of the parameters of each stage, from input to output.

    Attributes:
        names: parameter names, stage by stage; parameters that inference does not use are in the last one.
        num_encoder: how many of the stages are the encoder.
    """

    names: tuple[tuple[str, ...], ...]
    num_encoder: int

    def prefixes(self, stages: Iterable[int]) -> tuple[str, ...]:
        """The shortest module names that hold the parameters of these stages and no others."""
        chosen: set[str] = set()
        for stage in stages:
            chosen.update(self.names[stage])
        every = list(itertools.chain.from_iterable(self.names))
        return tuple(_shortest(chosen, every))


def with_stages(plan: Plan, target: str) -> Plan:
    """The plan with the names that freezing and layer-wise rates need, if the user chose either."""
    frozen = plan.frozen_epochs is not None and plan.frozen_epochs.value > 0
    decay = 1.0 if plan.layer_decay is None else plan.layer_decay.value
    if not frozen and decay == 1:
        return plan
    network = build_network({**plan.network_arguments}, target)
    stages = network_stages(network, plan.num_channels, plan.patch_size.value)
    if frozen:
        parts = stages.prefixes(range(stages.num_encoder))
        because = f"The encoder: {stages.num_encoder} of the network's {len(stages.names)} stages."
        plan = replace(plan, frozen_parts=Decision(parts, because))
    if decay < 1:
        plan = replace(plan, layer_rates=layer_rates(stages, decay))
    return plan


def layer_rates(stages: Stages, decay: float) -> dict[str, float]:
    """Module name -> factor of the learning rate: 1 for the last stage, times `decay` for each stage before it."""
    last = len(stages.names) - 1
    rates = {}
    for stage in range(len(stages.names)):
        for prefix in stages.prefixes([stage]):
            rates[prefix] = round(decay ** (last - stage), 6)
    return rates


def network_stages(network: nn.Module, num_channels: int, patch_size: Sequence[int]) -> Stages:
    """Follow a patch through the network.

    Raises:
        InputError: the network does not take a patch of this size.
    """
    stages: list[list[str]] = []
    sizes: list[int] = []
    seen: set[str] = set()
    current_size = prod(patch_size)
    for names, size in _trace(network, num_channels, patch_size):
        if size is not None:
            current_size = size
        if not sizes or sizes[-1] != current_size:
            stages.append([])
            sizes.append(current_size)
        for name in names:
            if name not in seen:
                stages[-1].append(name)
                seen.add(name)
    filled, num_encoder = _with_parameters(stages, sizes)
    for name, _ in network.named_parameters():
        if name not in seen:
            filled[-1].append(name)
    return Stages(names=tuple(map(tuple, filled)), num_encoder=num_encoder)


def _with_parameters(stages: Sequence[list[str]], sizes: Sequence[int]) -> tuple[list[list[str]], int]:
    """The stages that have parameters, and the number of them up to the last stage at the coarsest resolution."""
    filled: list[list[str]] = []
    filled_sizes: list[int] = []
    for names, size in zip(stages, sizes, strict=True):
        if names:
            filled.append(names)
            filled_sizes.append(size)
    num_encoder = 0
    for number, size in enumerate(filled_sizes, start=1):
        if size == min(filled_sizes):
            num_encoder = number
    return filled, num_encoder


def _trace(network: nn.Module, num_channels: int, patch_size: Sequence[int]) -> list[tuple[list[str], int | None]]:
    """For each layer with parameters, in the order they run: its parameters and the voxels of its output."""
    import torch

    hollow = copy.deepcopy(network).to("meta").eval()
    names = {id(parameter): name for name, parameter in hollow.named_parameters()}
    trace: list[tuple[list[str], int | None]] = []

    def record(module: Any, _: Any, output: Any) -> None:
        own = [names[id(parameter)] for parameter in module.parameters(recurse=False)]
        spatial = prod(output.shape[2:]) if isinstance(output, torch.Tensor) and output.ndim == 5 else None
        trace.append((own, spatial))

    hooks = []
    for module in hollow.modules():
        if list(module.parameters(recurse=False)):
            hooks.append(module.register_forward_hook(record))
    try:
        with torch.no_grad():
            hollow(torch.empty(1, num_channels, *patch_size, device="meta"))
    except (RuntimeError, ValueError) as error:
        text = f"does not take a patch of {' x '.join(map(str, patch_size))} voxels: {error}"
        raise InputError(Problem(type(network).__name__, text)) from error
    finally:
        for hook in hooks:
            hook.remove()
    return trace


def _shortest(chosen: set[str], every: Sequence[str]) -> list[str]:
    tree: dict[str, Any] = {}
    for name in every:
        node = tree
        for part in name.split("."):
            node = node.setdefault(part, {})
    return _covering(tree, "", chosen)


def _covering(node: Mapping[str, Any], prefix: str, chosen: set[str]) -> list[str]:
    modules: list[str] = []
    for part, below in node.items():
        path = f"{prefix}{part}"
        if chosen.issuperset(_leaves(below, path)):
            modules.append(path)
        elif below:
            modules += _covering(below, f"{path}.", chosen)
    return modules


def _leaves(node: Mapping[str, Any], path: str) -> list[str]:
    if not node:
        return [path]
    leaves = []
    for part, below in node.items():
        leaves += _leaves(below, f"{path}.{part}")
    return leaves
