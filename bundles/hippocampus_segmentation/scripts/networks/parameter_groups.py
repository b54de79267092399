"""Learning rates that differ from one part of a network to the next, as parameter groups of an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


def parameter_groups(network: nn.Module, learning_rate: float, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """One group for each factor, the largest first; schedules scale all groups alike.

    Args:
        network: may be wrapped for several processes.
        learning_rate: of the parts with factor 1.
        rates: name of a module or parameter -> factor; the longest name that fits counts, and 1 where none does.

    Raises:
        ValueError: a name is not in the network.
    """
    inner = getattr(network, "module", network)
    own = inner if isinstance(inner, nn.Module) else network
    named = dict(own.named_parameters())
    unknown = [part for part in rates if not any(_within(name, part) for name in named)]
    if unknown:
        raise ValueError(f"the network has no {', '.join(unknown)} to give a learning rate.")
    groups: dict[float, list[nn.Parameter]] = {}
    for name, value in named.items():
        fitting = [part for part in rates if _within(name, part)]
        factor = float(rates[max(fitting, key=len)]) if fitting else 1.0
        groups.setdefault(factor, []).append(value)
    return [{"params": groups[factor], "lr": learning_rate * factor} for factor in sorted(groups, reverse=True)]


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
