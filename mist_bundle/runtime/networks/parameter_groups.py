"""Learning rates that differ between the parts of a network, as parameter groups of an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from .parts import parts_of, unwrap


def parameter_groups(network: nn.Module, learning_rate: float, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """A group for each factor, the largest first; schedules scale all groups alike.

    Args:
        network: may be wrapped for several processes.
        learning_rate: of the parts with factor 1.
        rates: name of a module or parameter -> factor; the longest name that fits counts, and 1 where none does.

    Raises:
        ValueError: a name is not in the network.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    unknown = set(rates)
    for name, parameter in unwrap(network).named_parameters():
        parts = parts_of(name, rates)
        unknown.difference_update(parts)
        factor = float(rates[max(parts, key=len)]) if parts else 1.0
        groups.setdefault(factor, []).append(parameter)
    if unknown:
        raise ValueError(f"the network has no {', '.join(sorted(unknown))} to set a learning rate for.")
    return [{"params": groups[factor], "lr": learning_rate * factor} for factor in sorted(groups, reverse=True)]
