"""How many threads a process uses by default."""

from __future__ import annotations

import os


def available_threads(most: int = 8) -> int:
    """This process's share of the machine's cores, at most `most`.

    The cores that the process may run on (Slurm, taskset and containers limit them), divided by the processes that
    torchrun started on the machine.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    processes = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return max(1, min(most, cores // processes))
