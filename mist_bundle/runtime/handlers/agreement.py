"""Processes agree on the state that a training continues from, where not all of them see the same files.

Machines that train together may have no common disk: the state then lies on a single machine, and after an elastic
restart the first process may be on another.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def latest_state(state: State | None, files: Sequence[Path]) -> tuple[State | None, dict[str, bytes]]:
    """The state of the latest epoch that any process has, the same for all; the first of several that have it.

    Args:
        state: what this process read, with its "epoch"; None where it has none.
        files: those that belong to the state, such as the best weights.

    Returns:
        The state; and where it came from another process, the content of that process's files by name.
    """
    if not dist.is_initialized():
        return state, {}
    epochs: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(epochs, -1 if state is None else int(state["epoch"]))
    latest = max(epochs)
    if latest < 0 or min(epochs) == latest:
        return state, {}
    source = epochs.index(latest)
    content: list[Any] = [None, {}]
    if dist.get_rank() == source:
        content = [state, {path.name: path.read_bytes() for path in files if path.is_file()}]
    dist.broadcast_object_list(content, src=source)
    return (state, {}) if dist.get_rank() == source else (content[0], content[1])
