"""How much memory there is and is free: the machine's, or the container's limit. Standard library only."""

from __future__ import annotations

import math
import os
from pathlib import Path

# version 2 of Linux' control groups, and version 1
_CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CONTAINER_USES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")
_MACHINE = Path("/proc/meminfo")


def total_memory() -> float:
    """Bytes of the machine, or of the container; infinity where the system does not say."""
    limit = _physical()
    for path in _CONTAINER_LIMITS:
        limit = min(limit, _container_limit(Path(path)))
    return limit


def free_memory() -> float:
    """Bytes that can be taken now, without other programs having to give any; infinity where the system does not say.

    What a container holds of files counts as free, since the system drops it when memory is needed.
    """
    free = _named_number(_MACHINE, "MemAvailable:") * 1024
    for limit_path, use_path in zip(_CONTAINER_LIMITS, _CONTAINER_USES, strict=True):
        limit, used = _container_limit(Path(limit_path)), Path(use_path)
        if math.isfinite(limit) and used.is_file():
            files = _named_number(used.with_name("memory.stat"), "inactive_file")
            held = _container_limit(used) - (files if math.isfinite(files) else 0.0)
            free = min(free, limit - held)
    return max(0.0, free)


def _named_number(path: Path, name: str) -> float:
    """The number behind a name at the start of a line; infinity where it is not there."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return math.inf
    for line in lines:
        words = line.split()
        if len(words) > 1 and words[0] == name and words[1].isdigit():
            return float(words[1])
    return math.inf


def _physical() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # not on every system
        return math.inf


def _container_limit(path: Path) -> float:
    try:
        return float(path.read_text(encoding="ascii"))  # "max" is not a number: there is no limit
    except (OSError, ValueError):
        return math.inf
