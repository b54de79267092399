"""How many cores a process may use: those it may run on, within the container's quota. Standard library only."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Cores that this process may use; Slurm, taskset and containers limit them."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(cores, _container_quota(_CONTROL_GROUPS)))


def _container_quota(groups: Path) -> int:
    """Cores that the container's share of processor time is worth, rounded up; a very large number without a limit."""
    try:
        quota, period = (groups / "cpu.max").read_text(encoding="ascii").split()  # version 2
    except (OSError, ValueError):
        try:
            quota = (groups / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (groups / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii")
        except (OSError, ValueError):
            return 2**30
    try:
        share = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max": there is no limit
        return 2**30
    return math.ceil(share) if share > 0 else 2**30
