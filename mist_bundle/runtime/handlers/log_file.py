"""Keep everything that is logged during a training in a file of its fold."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def open_log(path: Path, *, resumed: bool) -> logging.Handler:
    """Write the records of all loggers to a file from now on; remove the handler again with `close_log`.

    Args:
        path: the file.
        resumed: append to the file instead of beginning it.
    """
    handler = logging.FileHandler(path, mode="a" if resumed else "w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)
    command = logging.LogRecord(__name__, logging.INFO, __file__, 0, " ".join(sys.argv), None, None)
    handler.handle(command)  # the file says what was run; the terminal knows
    return handler


def close_log(handler: logging.Handler) -> None:
    """Stop writing to the file."""
    logging.getLogger().removeHandler(handler)
    handler.close()
