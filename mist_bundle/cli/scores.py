"""The table of scores that evaluate, finalize and run_all end with: mean, median, and the worst cases."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mist_bundle.errors import CaseFailure
from mist_bundle.runtime.wording import counted

WORST = 3
_MAX_WIDTH = 120


@contextmanager
def printed_scores(scores: Callable[[], Sequence[Mapping[str, Any]]]) -> Iterator[None]:
    """Print the scores of what is done inside, also when some of its cases failed.

    Args:
        scores: returns the rows of `score_lines`; called when the work is done.
    """
    try:
        yield
    except CaseFailure:
        print("\n".join(["", *score_lines(scores())]))
        raise
    print("\n".join(["", *score_lines(scores())]))


def score_lines(rows: Sequence[Mapping[str, Any]], width: int | None = None) -> list[str]:
    """A line for each column of results.csv, with the three worst cases by name as far as they fit.

    Args:
        rows: a mapping for each case: its id, and a value for each `<class>_<metric>`.
        width: characters of a line; by default those of the terminal.
    """
    from mist_bundle.runtime.metrics.columns import split_columns
    from mist_bundle.runtime.metrics.table import ID, summarize

    limit = width or min(_MAX_WIDTH, shutil.get_terminal_size((_MAX_WIDTH, 24)).columns)
    summary = summarize(rows)
    if not summary:
        return []
    name_width = max(map(len, summary))
    cases = counted(len(rows), "case")
    lines = [f"{cases:<{name_width}}      mean    median  worst"]
    metrics = split_columns(list(summary))
    for column, statistics in summary.items():
        head = f"{column:<{name_width}}  {_number(statistics['Mean'])}  {_number(statistics['Median'])}  "
        values = {str(row[ID]): float(row.get(column, math.nan)) for row in rows}
        _, metric = metrics.get(column, ("", ""))
        lines.append(head + _joined(_worst(metric, values), limit - len(head)))
    return lines


def _worst(metric: str, values: Mapping[str, float]) -> list[str]:
    from mist_bundle.catalog.metrics import HIGHER, METRICS

    lower_is_worse = metric not in METRICS or METRICS[metric].better == HIGHER
    known = []
    for case, value in values.items():
        if not math.isnan(value):
            known.append((value, case))
    known.sort(reverse=not lower_is_worse)
    return [f"{case} {_number(value).strip()}" for value, case in known[:WORST]]


def _joined(words: Sequence[str], width: int) -> str:
    """As many of the words as fit, but at least the first."""
    text = ""
    for word in words:
        longer = f"{text}, {word}" if text else word
        if text and len(longer) > width:
            break
        text = longer
    return text


def _number(value: float) -> str:
    return f"{'-':>8}" if math.isnan(value) else f"{value:8.3f}"
