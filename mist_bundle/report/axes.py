"""Axes of charts: round numbers along them, and their drawing as SVG."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mist_bundle.report.html import Html, el, join

# pixels
WIDTH = 360.0
HEIGHT = 230.0
LEFT = 56.0
RIGHT = 16.0
TOP = 8.0
BOTTOM = 40.0
MARGIN = 0.04  # of an axis beyond the data, as a share of their range
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_MOST_DIGITS = 6  # of a number with an exponent


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """An axis from `low` to `high` in the unit of the data, drawn from `start` to `stop` in pixels."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value."""
        if self.log:
            share = math.log10(value / self.low) / math.log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round numbers along the axis."""
        return _log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high)

    def whole_ticks(self) -> list[float]:
        """Whole numbers along the axis, at least one."""
        whole = list(filter(float.is_integer, self.ticks()))
        return whole or [float(math.ceil(self.low))]


def limits(values: Sequence[float], *, lowest: float = -math.inf, highest: float = math.inf) -> tuple[float, float]:
    """Ends of an axis: a little beyond the values, but within `lowest` and `highest`.

    A single value is in the middle of a narrow axis.
    """
    low = min(values)
    high = max(values)
    spare = (high - low) * MARGIN or abs(low) * MARGIN or 1.0
    return max(low - spare, lowest), min(high + spare, highest)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten) in [low, high], at least two."""
    widest = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(widest))
    steps = [10 * power]
    for factor in (5, 2, 1, 0.5, 0.2, 0.1):
        if factor * power >= widest * (1 - 1e-9):
            steps = []  # a smaller step is still wide enough
        steps.append(factor * power)
    for step in steps:
        multiples = _multiples(low, high, step)
        if len(multiples) > 1:
            return multiples
    return [low, high]


def _multiples(low: float, high: float, step: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    multiples: list[float] = (np.arange(first, last + 1) * step).round(12).tolist()
    return multiples


def axes_of_plane(x_limits: tuple[float, float], y_limits: tuple[float, float]) -> tuple[Axis, Axis]:
    """The two axes of a chart of the usual size, from their limits (low, high)."""
    x_axis = Axis(low=x_limits[0], high=x_limits[1], start=LEFT, stop=WIDTH - RIGHT)
    y_axis = Axis(low=y_limits[0], high=y_limits[1], start=HEIGHT - BOTTOM, stop=TOP)
    return x_axis, y_axis


def draw_x_axis(axis: Axis, label: str, bottom: float = HEIGHT - BOTTOM, *, whole: bool = False) -> Html:
    """Draw a horizontal axis at the height `bottom`, with its numbers and label below; `whole`: whole numbers only."""
    parts = [el("line", class_="axis", x1=axis.start, x2=axis.stop, y1=bottom, y2=bottom)]
    marks = axis.whole_ticks() if whole else axis.ticks()
    texts = _texts(axis, marks)
    shown = _not_crowded(axis, texts)
    for mark in marks:
        x = axis.place(mark)
        parts.append(el("line", class_="axis", x1=x, x2=x, y1=bottom, y2=bottom + 4))
        if mark in shown:
            place = _number_place(axis, mark, texts[mark])
            parts.append(el("text", texts[mark], x=place, y=bottom + 17, text_anchor="middle"))
    parts.append(el("text", label, x=(axis.start + axis.stop) / 2, y=bottom + 34, text_anchor="middle"))
    return join(parts)


def _not_crowded(axis: Axis, texts: Mapping[float, str]) -> set[float]:
    """Marks whose numbers do not touch each other: all, every second, every third …"""
    marks = list(texts)
    for step in range(1, len(marks) + 1):
        shown = marks[::step]
        if not any(_touch(axis, texts, mark, following) for mark, following in itertools.pairwise(shown)):
            return set(shown)
    return set(marks[:1])


def _touch(axis: Axis, texts: Mapping[float, str], mark: float, following: float) -> bool:
    """Whether the numbers of two marks have less than 8 pixels between them."""
    distance = _number_place(axis, following, texts[following]) - _number_place(axis, mark, texts[mark])
    return distance < (_text_width(texts[mark]) + _text_width(texts[following])) / 2 + 8


def _number_place(axis: Axis, mark: float, text: str) -> float:
    """Middle of the number below a mark, shifted where it would leave the chart."""
    return min(axis.place(mark), WIDTH - 1 - _text_width(text) / 2)


def _text_width(text: str) -> float:
    return 6.8 * len(text)


def draw_y_axis(axis: Axis, label: str) -> Html:
    """Draw a vertical axis with its numbers and label on the left, and a line across the chart at each number."""
    parts = []
    marks = axis.ticks()
    texts = _texts(axis, marks)
    for mark in marks:
        y = axis.place(mark)
        parts.append(el("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
        parts.append(el("text", texts[mark], x=LEFT - 5, y=y + 4, text_anchor="end"))
    middle = (axis.start + axis.stop) / 2
    turn = f"rotate(-90 11 {middle:.1f})"
    parts.append(el("text", label, x=11, y=middle, text_anchor="middle", transform=turn))
    return join(parts)


def _texts(axis: Axis, marks: Sequence[float]) -> dict[float, str]:
    """The numbers at the marks of an axis: on a linear one with the same decimals, and no two alike."""
    texts = list(map(_compact, marks))
    if not axis.log and all(_PLAIN_NUMBER.fullmatch(text) for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        texts = [f"{mark:.{decimals}f}" for mark in marks]
    for digits in range(1, _MOST_DIGITS):
        if len(set(texts)) == len(texts):
            break
        texts = [f"{mark:.{digits}e}".replace("e-0", "e-") for mark in marks]
    return dict(zip(marks, texts, strict=True))


def _compact(value: float) -> str:
    """A number in about five characters, for the narrow margin of a chart."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k"
    if value == 0 or abs(value) >= 1e-3:
        return f"{value:g}"
    return f"{value:.0e}".replace("e-0", "e-")


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten in [low, high], or powers only over a wide range; linear ticks if few fit."""
    factors = (1, 2, 5) if high < 1000 * low else (1,)
    marks = []
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for factor in factors:
            mark = factor * 10.0**power
            if low <= mark <= high:
                marks.append(mark)
    return marks if len(marks) > 1 else ticks(low, high)
