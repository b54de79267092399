"""The network itself, where it is wrapped for several processes."""

from __future__ import annotations

import torch


def unwrap(network: torch.nn.Module) -> torch.nn.Module:
    """The network itself, out of DistributedDataParallel."""
    inner = getattr(network, "module", network)
    return inner if isinstance(inner, torch.nn.Module) else network
