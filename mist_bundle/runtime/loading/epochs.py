"""Which epoch a training loader is in, so that its position can be saved and restored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class EpochCounter:
    """The number of the epoch under way, and of the next.

    An epoch counts as done when its last batch is handed out, not when the consumer requests the next batch: Ignite
    saves before that. Until then the state names the epoch under way, which a resumed run begins again.
    """

    def __init__(self) -> None:
        self._next = 0
        self._under_way: int | None = None

    def start(self) -> int:
        """Begin an epoch and return its number; an epoch that was broken off is left behind."""
        epoch = self._next
        self._next, self._under_way = epoch + 1, epoch
        return epoch

    def finish(self, epoch: int) -> None:
        """Note that the last batch of an epoch was handed out, or that its iteration was broken off."""
        if self._under_way == epoch:
            self._under_way = None

    def set(self, epoch: int) -> None:
        """Let the next iteration yield this epoch."""
        if epoch < 0:
            message = f"the epoch must be at least 0, not {epoch}."
            raise ValueError(message)
        self._next, self._under_way = epoch, None

    def state_dict(self) -> dict[str, int]:
        """{"epoch": the epoch that a resumed loader shall yield next}."""
        return {"epoch": self._next if self._under_way is None else self._under_way}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the position from `state_dict`."""
        self.set(int(state["epoch"]))
