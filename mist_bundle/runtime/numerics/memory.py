"""How much memory a process may take: the machine's, or the container's limit. Standard library only."""

from __future__ import annotations

import math
import os
from pathlib import Path

# version 2 of Linux' control groups, and version 1
_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def total_memory() -> float:
    """Bytes of the machine, or of the container; infinity where the system does not say."""
    limit = _physical()
    for path in _CONTAINER_LIMITS:
        limit = min(limit, _container_limit(Path(path)))
    return limit


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # not on every system
        return math.inf


def _container_limit(path: Path) -> float:
    try:
        return float(path.read_text(encoding="ascii"))  # "max" is no number: there is no limit
    except (OSError, ValueError):
        return math.inf


def format_bytes(num_bytes: float) -> str:
    """A size for a message: "3.2 GB"."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} PB"
