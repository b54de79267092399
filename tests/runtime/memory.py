"""How much memory numpy takes while something runs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable


def numpy_peak(work: Callable[[], object]) -> int:
    """Most bytes of arrays that were held at a time, beyond those before; what torch takes by itself is not counted."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
