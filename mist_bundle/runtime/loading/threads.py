"""How many threads a process uses by default."""

from __future__ import annotations

import os

from ..numerics.cores import available_cores


def available_threads(most: int = 8) -> int:
    """This process's share of the machine's cores, at most `most`.

    The cores that the process may use, divided by the processes that torchrun started on the machine.
    """
    processes = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return max(1, min(most, available_cores() // processes))
