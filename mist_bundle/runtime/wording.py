"""How counts, lists of names, sizes, times and columns of numbers are written in messages, tables and pages.

Standard library only: this file travels in every bundle.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from statistics import median

MOST_NAMES = 8  # that a message lists before it says "and 5 more"
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0  # seconds
MONTH = 30.4 * DAY
GB = 2**30  # bytes, as the memory of graphics cards is counted
_MOST_DECIMALS = 6


def inflected(number: int, singular: str, plural: str = "") -> str:
    """A noun or verb that fits a number; `plural` where it is not the singular with an s."""
    return singular if number == 1 else plural or f"{singular}s"


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number of things: "1 label map", "2 label maps"."""
    return f"{number} {inflected(number, singular, plural)}"


def list_names(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Names for a sentence, shortened where there are more than `most`: "a, b, c and 12 more"."""
    shown = ", ".join(names[:most])
    hidden = len(names) - most
    return f"{shown} and {hidden} more" if hidden > 0 else shown


def join_with_and(words: Iterable[str]) -> str:
    """All words for a sentence: "a", "a and b", "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def option_text(value: object) -> str:
    """A value as an option of the command line takes it: the entries of a list with commas, as 1,2,3."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known word that looks most like `word`, whatever its case and its `-` or `_`; None without any likeness."""
    by_plain = {_plain(name): name for name in known}
    matches = difflib.get_close_matches(_plain(word), list(by_plain), n=1, cutoff=cutoff)
    return by_plain[matches[0]] if matches else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """`Did you mean "x"?` for the known word closest to `word`; "" if none is close."""
    closest = nearest(word, known, cutoff=0.6)
    return f'Did you mean "{closest}"?' if closest else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence after a misspelt word: the nearest known word, and all that are known."""
    names = list(map(str, known))
    close = nearest(word, names)
    hint = f"Did you mean {close!r}? " if close else ""
    return f"{hint}Known: {', '.join(names)}."


def format_bytes(num_bytes: float) -> str:
    """The size of files or arrays: "3.2 GB", in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if num_bytes < 999.5:  # or three digits would round it up to 1000
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.3g} PB"


def as_gb(num_bytes: float) -> str:
    """An amount of memory as graphics cards are sold by it: "350 MB", "3.2 GB", "24 GB", in powers of 1024."""
    if num_bytes < GB / 10:
        return f"{num_bytes / 2**20:.0f} MB"
    return f"{num_bytes / GB:.1f} GB" if num_bytes < 10 * GB else f"{num_bytes / GB:.0f} GB"


def as_time(seconds: float) -> str:
    """A time in its fitting unit: "0.25 s", "95 s", "12 min", "2.5 h", "3 days"."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    units = (("min", MINUTE, 2 * HOUR), ("h", HOUR, 2 * DAY), ("days", DAY, 60 * DAY), ("months", MONTH, 24 * MONTH))
    for name, unit, limit in units:
        if seconds < limit:
            return f"{_two_digits(seconds / unit)} {name}"
    return f"{_two_digits(seconds / (12 * MONTH))} years"


def _two_digits(value: float) -> str:
    """Two digits at least, and no decimal that is 0: "2", "2.8", "95", "120"."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"


def as_clock(seconds: float) -> str:
    """A time as hours, minutes and seconds: "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def even_decimals(values: Iterable[float], digits: int = 3, *, show_smallest: bool = False) -> int:
    """The number of decimals for a column of numbers: its median gets `digits` significant digits.

    Args:
        values: of the column; zeros, NaN and infinity do not count. Whole numbers alone get no decimals.
        digits: significant digits of the median.
        show_smallest: as many more decimals as the smallest value needs for a digit other than 0.
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    if all(map(float.is_integer, map(float, sizes))):
        return 0
    decimals = digits - 1 - math.floor(math.log10(median(sizes)))
    if show_smallest:
        decimals = max(decimals, -math.floor(math.log10(min(sizes))))
    return min(max(0, decimals), _MOST_DECIMALS)
