"""Parts of a network by their names, and the network itself where it is wrapped for several processes."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def unwrap(network: torch.nn.Module) -> torch.nn.Module:
    """The network itself, out of DistributedDataParallel."""
    inner = getattr(network, "module", network)
    return inner if isinstance(inner, torch.nn.Module) else network


def parts_of(name: str, parts: Iterable[str]) -> list[str]:
    """Those parts that a module or parameter of this name belongs to."""
    return [part for part in parts if name == part or name.startswith(f"{part}.")]
