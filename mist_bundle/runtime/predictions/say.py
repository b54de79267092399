"""Lines for the person in front of the terminal, on stderr, above the progress bar if there is any."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Write a line at once."""
    try:
        from tqdm import tqdm
    except ImportError:
        sys.stderr.write(f"{line}\n")
    else:
        tqdm.write(line, file=sys.stderr)
    sys.stderr.flush()
