"""Whether processes that train together can share the patches of a step."""

from __future__ import annotations

from math import ceil


def sharing_problem(batch_size: int, processes: int) -> str:
    """Why a batch cannot be shared by that many processes, and what could; "" where it can."""
    if batch_size % processes == 0:
        return ""
    divisors = [str(count) for count in range(1, batch_size + 1) if batch_size % count == 0]
    larger = ceil(batch_size / processes) * processes
    return (
        f"{processes} processes cannot share a batch of {batch_size} patches evenly. "
        f"Use {', '.join(divisors)} processes, or a batch_size of {larger}, or batch_size_per_process."
    )
