"""Charts as inline SVG, without a script and in the colours and fonts of the page.

Each chart is a figure with a heading, a description for screen readers and, with several series, a legend in HTML.
Line styles repeat what colours distinguish. The SVG is written here because matplotlib's does not follow the light and
dark schemes of the page, has no tooltips, takes 5 to 10 times as long and is 1.5 to 3 times as large.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from mist_bundle.report.colours import NEUTRAL
from mist_bundle.report.html import Html, bullets, el, join, number

# pixels
WIDTH = 360.0
HEIGHT = 230.0
_LEFT = 56.0
_RIGHT = 16.0
_TOP = 8.0
_BOTTOM = 40.0
_ROW_HEIGHT = 30.0  # of a box plot
_DASHES = (None, "6 3", "2 3", "8 3 2 3")
_MAX_POINTS = 1500  # in a scatter plot or beside a box; more make the page heavy without being more informative
_MAX_DOTS = 12  # points of a line that are also drawn as dots
_MAX_DESCRIBED = 20  # rows of a box plot
_LABEL_CHARACTERS = 18
_LOG_ABOVE = 20.0
_PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_MOST_DIGITS = 6  # of a number with an exponent
_MARGIN = 0.04  # of an axis beyond the data, as a share of their range

Point = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A named line or group of points.

    Attributes:
        name: in the legend.
        points: (x, y).
        colour: as CSS.
        style: number of the line style or marker.
    """

    name: str
    points: Sequence[Point]
    colour: str = NEUTRAL
    style: int = 0


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
    spare = (high - low) * _MARGIN or abs(low) * _MARGIN or 1.0
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


def line_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *, from_zero: bool = False) -> Html:
    """Lines over a common x; a single point is drawn as a dot."""
    xs, ys = _coordinates(series)
    if not xs:
        return Html()
    lowest = 0.0 if min(ys) >= 0 else -math.inf
    x_axis, y_axis = _axes(limits(xs), limits(ys, lowest=lowest))
    if from_zero:
        y_axis = replace(y_axis, low=0.0)
    marks = []
    descriptions = []
    for line in series:
        if line.points:
            marks += _line(line, x_axis, y_axis)
            first, last = line.points[0][1], line.points[-1][1]
            descriptions.append(f"{line.name}: from {number(first)} to {number(last)}")
    drawing = join([_x_axis(x_axis, x_label, whole=True), _y_axis(y_axis, y_label), *marks])
    description = f"{title}. {'; '.join(descriptions)}"
    return _figure(title, description, drawing, HEIGHT, _legend(series, lines=True))


def _line(line: Series, x_axis: Axis, y_axis: Axis) -> list[Html]:
    corners = []
    dots = []
    for x, y in line.points:
        left, top = x_axis.place(x), y_axis.place(y)
        corners.append(f"{left:.1f} {top:.1f}")
        dots.append(el("circle", cx=left, cy=top, r=2.5, fill=line.colour))
    marks = []
    if len(corners) > 1:
        path = f"M{'L'.join(corners)}"
        dash = _DASHES[line.style % len(_DASHES)]
        marks.append(el("path", d=path, fill="none", stroke=line.colour, stroke_width=2, stroke_dasharray=dash))
    if len(dots) <= _MAX_DOTS:
        marks += dots
    return marks


def _coordinates(series: Sequence[Series]) -> tuple[list[float], list[float]]:
    """The x and the y of all points."""
    xs = []
    ys = []
    for group in series:
        for x, y in group.points:
            xs.append(x)
            ys.append(y)
    return xs, ys


def histogram(
    title: str, x_label: str, edges: Sequence[float], counts: Sequence[float], y_label: str = "cases"
) -> Html:
    """A bar for each count, between successive edges."""
    if not counts or max(counts) <= 0:
        return Html()
    x_axis, y_axis = _axes((edges[0], edges[-1]), (0.0, max(counts) * (1 + _MARGIN)))
    bars = []
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count <= 0:
            continue
        left = x_axis.place(low)
        top = y_axis.place(count)
        width = max(0.5, x_axis.place(high) - left - 0.7)
        tip = el("title", f"{number(low)} to {number(high)}: {number(count)} {y_label}")
        bars.append(el("rect", tip, x=left, y=top, width=width, height=y_axis.start - top, fill=NEUTRAL))
    extent = f"between {number(edges[0])} and {number(edges[-1])} {x_label}"
    description = f"{title}: {number(sum(counts))} {y_label} {extent}."
    drawing = join([_y_axis(y_axis, y_label), *bars, _x_axis(x_axis, x_label)])
    return _figure(title, description, drawing, HEIGHT)


def box_plot(
    title: str,
    x_label: str,
    rows: Sequence[tuple[str, Sequence[float], str]],
    *,
    log: bool = False,
    lowest: float = -math.inf,
    highest: float = math.inf,
) -> Html:
    """A horizontal box for each row: quartiles, whiskers to the last value within 1.5 times the box, and all values.

    Args:
        title: of the chart.
        x_label: quantity and unit.
        rows: (name, values, colour).
        log: use a logarithmic axis if the values are positive and differ more than 20-fold.
        lowest: smallest possible value.
        highest: largest possible value.
    """
    filled = []
    everything: list[float] = []
    for name, values, colour in rows:
        if len(values):
            filled.append((name, sorted(values), colour))
            everything += values
    if not filled:
        return Html()
    log = log and min(everything) > 0 and max(everything) > _LOG_ABOVE * min(everything)
    if log:
        low, high = min(everything) / (1 + _MARGIN), max(everything) * (1 + _MARGIN)
    else:
        low, high = limits(everything, lowest=lowest, highest=highest)
    bottom = _TOP + _ROW_HEIGHT * len(filled)
    longest_name = max(len(name) for name, _, _ in filled)
    left = 24.0 + 6.6 * min(_LABEL_CHARACTERS, longest_name)
    axis = Axis(low=low, high=high, start=left, stop=WIDTH - _RIGHT, log=log)
    marks = [_x_axis(axis, x_label, bottom)]
    descriptions = []
    for index, (name, values, colour) in enumerate(filled):
        marks.append(_box(axis, _TOP + _ROW_HEIGHT * (index + 0.5), name, values, colour))
        median = number(float(np.median(values)))
        descriptions.append(f"{name}: median {median}, from {number(values[0])} to {number(values[-1])}")
    description = f"{title}. {'; '.join(descriptions[:_MAX_DESCRIBED])}"
    return _figure(title, description, join(marks), bottom + _BOTTOM)


def scatter(title: str, x_label: str, y_label: str, series: Sequence[Series], *, identity: bool = False) -> Html:
    """Points; with `identity` both axes have the same limits and a line marks equality."""
    xs, ys = _coordinates(series)
    if not xs:
        return Html()
    num_points = len(xs)
    if identity:
        xs = ys = xs + ys
    x_axis, y_axis = _axes(limits(xs), limits(ys))
    marks = []
    if identity:
        ends = {"x1": x_axis.start, "y1": y_axis.start, "x2": x_axis.stop, "y2": y_axis.stop}
        marks.append(el("line", class_="axis", stroke_dasharray="4 3", **ends))
    for group in series:
        for x, y in _thinned(group.points):
            marks.append(_marker(x_axis.place(x), y_axis.place(y), group.style, group.colour))
    description = f"{title}: {num_points} points; {x_label} from {number(min(xs))} to {number(max(xs))}."
    drawing = join([_x_axis(x_axis, x_label), _y_axis(y_axis, y_label), *marks])
    return _figure(title, description, drawing, HEIGHT, _legend(series, lines=False))


def grid(charts: Sequence[Html]) -> Html:
    """Charts side by side as the width allows."""
    return el("div", *filter(None, charts), class_="charts")


def _box(axis: Axis, middle: float, name: str, values: Sequence[float], colour: str) -> Html:
    """The box of sorted values around the height `middle`."""
    low, median, high = np.percentile(values, (25, 50, 75)).tolist()
    reach = 1.5 * (high - low)
    inside = [value for value in values if low - reach <= value <= high + reach]
    first = axis.place(min(inside[0], low))
    left, centre, right = axis.place(low), axis.place(median), axis.place(high)
    last = axis.place(max(inside[-1], high))
    label = name
    if len(name) > _LABEL_CHARACTERS:
        label = f"{name[: _LABEL_CHARACTERS - 1]}…"
    tip = f"{name}: median {number(median)}, quartiles {number(low)} and {number(high)}, {len(values)} values"
    dots = []
    for index, value in enumerate(_thinned(values)):
        # a fixed pattern of heights, so that dots of equal value do not hide each other
        height = middle + 7 * ((index * 0.618) % 1 - 0.5)
        dots.append(el("circle", cx=axis.place(value), cy=height, r=1.7, fill=colour, opacity=0.55))
    line = {"stroke": colour, "stroke_width": 1.5}
    width = max(1.0, right - left)
    return el(
        "g",
        el("title", tip),
        el("text", label, x=axis.start - 8, y=middle + 4, text_anchor="end"),
        el("line", x1=first, x2=left, y1=middle, y2=middle, **line),
        el("line", x1=right, x2=last, y1=middle, y2=middle, **line),
        el("rect", x=left, y=middle - 8, width=width, height=16, fill="none", **line),
        *dots,
        el("line", x1=centre, x2=centre, y1=middle - 9, y2=middle + 9, stroke=colour, stroke_width=3.5),
    )


def _marker(x: float, y: float, style: int, colour: str) -> Html:
    shape = style % 3
    if shape == 0:
        return el("circle", cx=x, cy=y, r=2.8, fill=colour, opacity=0.75)
    if shape == 1:
        return el("rect", x=x - 2.6, y=y - 2.6, width=5.2, height=5.2, fill=colour, opacity=0.75)
    return el("path", d=f"M{x:.1f} {y - 3.4:.1f}l3.2 5.8h-6.4z", fill=colour, opacity=0.75)


def _axes(x_limits: tuple[float, float], y_limits: tuple[float, float]) -> tuple[Axis, Axis]:
    x_axis = Axis(low=x_limits[0], high=x_limits[1], start=_LEFT, stop=WIDTH - _RIGHT)
    y_axis = Axis(low=y_limits[0], high=y_limits[1], start=HEIGHT - _BOTTOM, stop=_TOP)
    return x_axis, y_axis


def _x_axis(axis: Axis, label: str, bottom: float = HEIGHT - _BOTTOM, *, whole: bool = False) -> Html:
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


def _y_axis(axis: Axis, label: str) -> Html:
    parts = []
    marks = axis.ticks()
    texts = _texts(axis, marks)
    for mark in marks:
        y = axis.place(mark)
        parts.append(el("line", class_="grid", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y))
        parts.append(el("text", texts[mark], x=_LEFT - 5, y=y + 4, text_anchor="end"))
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


def _thinned(values: Sequence[T]) -> Sequence[T]:
    return values[:: max(1, math.ceil(len(values) / _MAX_POINTS))]


def _legend(series: Sequence[Series], *, lines: bool) -> Html | None:
    if len(series) < 2:
        return None
    items = []
    for group in series:
        if lines:
            dash = _DASHES[group.style % len(_DASHES)]
            stroke = {"stroke": group.colour, "stroke_width": 2.5, "stroke_dasharray": dash}
            sample = el("line", x1=0, x2=24, y1=6, y2=6, **stroke)
        else:
            sample = _marker(12, 6, group.style, group.colour)
        items.append(join([el("svg", sample, view_box="0 0 24 12", aria_hidden="true"), group.name]))
    return bullets(items, class_="legend")


def _figure(title: str, description: str, drawing: Html, height: float, legend: Html | None = None) -> Html:
    view_box = f"0 0 {WIDTH:g} {height:g}"
    chart = el("svg", el("title", description), drawing, class_="chart", view_box=view_box, role="img")
    return el("figure", el("figcaption", el("strong", title)), chart, legend)
