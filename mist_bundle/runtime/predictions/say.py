"""Lines for the person in front of the terminal, on stderr, above the progress bar if there is any."""

from __future__ import annotations

import os
import sys

# set by mist-bundle for the processes that it starts: the file for the reason of a failure, which it reports itself
REASON = "MIST_BUNDLE_REASON"


def say(line: str) -> None:
    """Write a line at once."""
    try:
        from tqdm import tqdm
    except ImportError:
        sys.stderr.write(f"{line}\n")
    else:
        tqdm.write(line, file=sys.stderr)
    sys.stderr.flush()


def failures_are_reported() -> bool:
    """Whether the program that started this process will name the failed cases when it ends."""
    return bool(os.environ.get(REASON))
