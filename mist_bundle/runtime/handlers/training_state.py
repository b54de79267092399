"""The state of a training as a file: written whole or not at all, with all random generators, read with care."""

from __future__ import annotations

import logging
import random
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from ignite.engine import Engine

from ..folds.files import write_whole

logger = logging.getLogger(__name__)


def read_state(path: Path) -> dict[str, Any] | None:
    """A state; None where the file is damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return state if isinstance(state, dict) and "epoch" in state and "network" in state else None
    except Exception as error:  # noqa: BLE001 - a damaged archive raises what its damage leads to
        logger.warning("%s cannot be read (%s).", path, str(error).splitlines()[0] if str(error) else type(error))
        return None


def restore_scaler(trainer: Engine, state: dict[str, Any]) -> None:
    """Restore the gradient scaler of a trainer that has begun to run, where it has one."""
    scaler = getattr(trainer, "scaler", None)
    if scaler is not None:
        scaler.load_state_dict(state)


def random_state() -> dict[str, Any]:
    """State of all generators that training may draw from, as tensors and plain numbers (weights_only loadable)."""
    version, numbers, cached = random.getstate()
    name, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": [version, list(numbers), cached],
        "numpy": [
            name,
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore the generators from `random_state`; the states of GPUs that are no longer there are left out."""
    version, numbers, cached = state["python"]
    random.setstate((version, tuple(numbers), cached))
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def save_whole(value: Any, path: Path) -> None:
    """torch.save to a temporary file in the same folder, flushed, then renamed."""
    write_whole(path, lambda stream: _save(value, stream))


def _save(value: Any, stream: IO[bytes]) -> None:
    """torch.save, whose own error about a file that could not be written hides why."""
    watched = _Watched(stream)
    try:
        torch.save(value, watched)  # type: ignore[arg-type]
    except RuntimeError:
        if watched.error is not None:
            raise watched.error from None
        raise


class _Watched:
    """A stream that remembers why it could not be written to."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write, as the stream does."""
        try:
            return self._stream.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Flush, as the stream does."""
        self._stream.flush()
