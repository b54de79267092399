"""Processes agree on the state that a training continues from, where not all of them see the same files.

Machines that train together may have no common disk: the state then lies on a single machine, and after an elastic
restart the first process may be on another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.distributed as dist

State = dict[str, Any]


def any_process(answer: bool) -> bool:
    """Whether at least a single process says yes; all processes get the same answer."""
    if not dist.is_initialized():
        return answer
    answers: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(answers, answer)
    return any(answers)


def latest_state(state: State | None, best: Path | None) -> tuple[State | None, bytes | None]:
    """The state of the latest epoch that any process has, the same for all; the first of several that have it.

    Args:
        state: what this process read, with its "epoch"; None where it has none.
        best: the file of best weights that belongs to the state.

    Returns:
        The state, and the content of the file where the state came from another process.
    """
    if not dist.is_initialized():
        return state, None
    epochs: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(epochs, -1 if state is None else int(state["epoch"]))
    latest = max(epochs)
    if latest < 0 or min(epochs) == latest:
        return state, None
    source = epochs.index(latest)
    content: list[Any] = [None, None]
    if dist.get_rank() == source:
        content = [state, best.read_bytes() if best is not None and best.is_file() else None]
    dist.broadcast_object_list(content, src=source)
    return (state, None) if dist.get_rank() == source else (content[0], content[1])
