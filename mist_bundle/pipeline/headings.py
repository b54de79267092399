"""The heading of each fold in a run: its number, the number of folds, and how long the rest may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from mist_bundle.runtime.wording import as_time

Announce = Callable[[str], None]


def silent(heading: str) -> None:
    """Say nothing."""


def fold_headings(step: str, folds: Sequence[int], clock: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """A heading for each fold, drawn just before the fold begins; the folds before it tell the time that is left.

    Args:
        step: what is done with each fold, such as "Training".
        folds: their numbers, in the order in which they run.
        clock: seconds.
    """
    start = clock()
    for done, number in enumerate(folds):
        heading = f"{step} fold {number} ({done + 1} of {len(folds)})"
        if done:
            seconds = (clock() - start) / done * (len(folds) - done)
            heading += f", about {as_time(seconds)} left for all folds"
        yield heading
