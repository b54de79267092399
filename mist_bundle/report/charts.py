"""Charts as inline SVG: sharp at any size, readable without a script, in the colours of the page in light and dark.

Each chart is a figure with a heading, a description for those who do not see it, and a legend in HTML where it has
several series. Axes reach as far as the data and a little further. Colours are CSS; line styles repeat the distinction
for those who see no colour. The charts are drawn here and not by matplotlib: as SVG of a few kilobytes they follow the
page's light and dark schemes and its fonts, and a page of forty of them opens at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from mist_bundle.report.colours import NEUTRAL
from mist_bundle.report.html import Html, el, join, number

WIDTH, HEIGHT = 360.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 10.0, 8.0, 40.0
_DASHES = (None, "6 3", "2 3", "8 3 2 3")
_MAX_POINTS = 1500  # of a scatter plot or beside a box; more make a page heavy and say nothing new
_LABEL_CHARACTERS = 18
_LOG_ABOVE = 20.0
_MARGIN = 0.04  # of an axis beyond the data, as a share of their range

Point = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A named line, or group of points, with its colour (CSS) and the number of its line style."""

    name: str
    points: Sequence[Point]
    colour: str = NEUTRAL
    style: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """From `low` to `high` in data, drawn from `start` to `stop` in pixels."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def place(self, value: float) -> float:
        """Pixel of a value."""
        low, high, here = (math.log10(one) if self.log else one for one in (self.low, self.high, value))
        return self.start + (here - low) / (high - low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round numbers along it."""
        return _log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high)

    def whole_ticks(self) -> list[float]:
        """Whole numbers along it."""
        found = [mark for mark in self.ticks() if float(mark).is_integer()]
        return found or [float(math.ceil(self.low))]


def limits(values: Sequence[float], *, lowest: float = -math.inf, highest: float = math.inf) -> tuple[float, float]:
    """Where an axis begins and ends: a little beyond the values, but not beyond what they can be at all.

    A single value stands in the middle of a narrow axis.
    """
    low, high = min(values), max(values)
    spare = (high - low) * _MARGIN or abs(low) * _MARGIN or 1.0
    return max(low - spare, lowest), min(high + spare, highest)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten) in [low, high], at least two of them."""
    raw = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    wide_enough = [factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9)]
    narrower = [factor * power / 10 for factor in (50, 20, 10, 5, 2, 1) if factor * power / 10 < wide_enough[0]]
    for step in (wide_enough[0], *narrower):
        inside = _multiples(low, high, step)
        if len(inside) > 1:
            return inside
    return [low, high]


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def line_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *, from_zero: bool = False) -> Html:
    """Lines over a common x; a single point is drawn as a dot."""
    points = [point for one in series for point in one.points]
    if not points:
        return Html()
    ys = [y for _, y in points]
    x_axis, y_axis = _axes(limits([x for x, _ in points]), limits(ys, lowest=0.0 if min(ys) >= 0 else -math.inf))
    if from_zero:
        y_axis = replace(y_axis, low=0.0)
    marks = []
    for one in series:
        placed = [(x_axis.place(x), y_axis.place(y)) for x, y in one.points]
        if len(placed) > 1:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
            dash = _DASHES[one.style % len(_DASHES)]
            marks.append(el("path", d=path, fill="none", stroke=one.colour, stroke_width=2, stroke_dasharray=dash))
        if len(placed) <= 12:
            marks += [el("circle", cx=x, cy=y, r=2.5, fill=one.colour) for x, y in placed]
    description = f"{title}. " + "; ".join(
        f"{one.name}: from {number(one.points[0][1])} to {number(one.points[-1][1])}" for one in series if one.points
    )
    drawing = join([_x_axis(x_axis, x_label, whole=True), _y_axis(y_axis, y_label), *marks])
    return _figure(title, description, drawing, HEIGHT, _legend(series, lines=True))


def histogram(
    title: str, x_label: str, edges: Sequence[float], counts: Sequence[float], y_label: str = "cases"
) -> Html:
    """Bars of given counts between given edges."""
    if not counts or max(counts) <= 0:
        return Html()
    x_axis, y_axis = _axes((edges[0], edges[-1]), (0.0, max(counts) * (1 + _MARGIN)))
    bars = []
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count > 0:
            left, right, top = x_axis.place(low), x_axis.place(high), y_axis.place(count)
            bars.append(
                el(
                    "rect",
                    el("title", f"{number(low)} to {number(high)}: {number(count)} {y_label}"),
                    x=left,
                    y=top,
                    width=max(0.5, right - left - 0.7),
                    height=y_axis.start - top,
                    fill=NEUTRAL,
                )
            )
    description = (
        f"{title}: {number(sum(counts))} {y_label} between {number(edges[0])} and {number(edges[-1])} {x_label}."
    )
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
    """A horizontal box for each row: quartiles, whiskers to the last value within 1.5 times the box, every value a dot.

    Args:
        title: of the chart.
        x_label: quantity and unit.
        rows: (name, values, colour).
        log: logarithmic axis where values are above 0 and differ more than 20-fold.
        lowest: what the values cannot be below.
        highest: what they cannot be above.
    """
    filled = [(name, sorted(values), colour) for name, values, colour in rows if len(values)]
    if not filled:
        return Html()
    everything = [value for _, values, _ in filled for value in values]
    log = log and min(everything) > 0 and max(everything) > _LOG_ABOVE * min(everything)
    low, high = limits(everything, lowest=lowest, highest=highest)
    if log:
        low, high = min(everything) / (1 + _MARGIN), max(everything) * (1 + _MARGIN)
    row_height = 30.0
    bottom = _TOP + row_height * len(filled)
    left = 24.0 + 6.6 * min(_LABEL_CHARACTERS, max(len(name) for name, _, _ in filled))
    axis = Axis(low=low, high=high, start=left, stop=WIDTH - _RIGHT - 6, log=log)
    marks = [_x_axis(axis, x_label, bottom)]
    for index, (name, values, colour) in enumerate(filled):
        marks.append(_box(axis, _TOP + row_height * (index + 0.5), name, values, colour))
    description = f"{title}. " + "; ".join(
        f"{name}: median {number(float(np.median(values)))}, from {number(values[0])} to {number(values[-1])}"
        for name, values, _ in filled[:20]
    )
    return _figure(title, description, join(marks), bottom + _BOTTOM)


def scatter(title: str, x_label: str, y_label: str, series: Sequence[Series], *, identity: bool = False) -> Html:
    """Points; with `identity` both axes are the same and a line marks equality."""
    points = [point for one in series for point in one.points]
    if not points:
        return Html()
    xs, ys = [x for x, _ in points], [y for _, y in points]
    if identity:
        xs = ys = xs + ys
    x_axis, y_axis = _axes(limits(xs), limits(ys))
    marks = []
    if identity:
        ends = {"x1": x_axis.start, "y1": y_axis.start, "x2": x_axis.stop, "y2": y_axis.stop}
        marks.append(el("line", class_="axis", stroke_dasharray="4 3", **ends))
    for one in series:
        for x, y in _thinned(one.points):
            marks.append(_marker(x_axis.place(x), y_axis.place(y), one.style, one.colour))
    description = f"{title}: {len(points)} points; {x_label} from {number(min(xs))} to {number(max(xs))}."
    drawing = join([_x_axis(x_axis, x_label), _y_axis(y_axis, y_label), *marks])
    return _figure(title, description, drawing, HEIGHT, _legend(series, lines=False))


def grid(charts: Sequence[Html]) -> Html:
    """Charts side by side as the width allows."""
    return el("div", *(chart for chart in charts if chart), class_="charts")


def _box(axis: Axis, middle: float, name: str, values: Sequence[float], colour: str) -> Html:
    low, median, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    reach = 1.5 * (high - low)
    inside = [value for value in values if low - reach <= value <= high + reach]
    ends = min(inside[0], low), max(inside[-1], high)
    places = [axis.place(value) for value in (ends[0], low, median, high, ends[1])]
    short = name if len(name) <= _LABEL_CHARACTERS else f"{name[: _LABEL_CHARACTERS - 1]}…"
    tip = f"{name}: median {number(median)}, quartiles {number(low)} and {number(high)}, {len(values)} values"
    line = {"stroke": colour, "stroke_width": 1.5}
    dots = [
        # a fixed pattern of heights, so that dots of equal value do not hide each other
        el(
            "circle",
            cx=axis.place(value),
            cy=middle + 7 * ((index * 0.618) % 1 - 0.5),
            r=1.7,
            fill=colour,
            opacity=0.55,
        )
        for index, value in enumerate(_thinned(values))
    ]
    return el(
        "g",
        el("title", tip),
        el("text", short, x=axis.start - 8, y=middle + 4, text_anchor="end"),
        el("line", x1=places[0], x2=places[1], y1=middle, y2=middle, **line),
        el("line", x1=places[3], x2=places[4], y1=middle, y2=middle, **line),
        el(
            "rect",
            x=places[1],
            y=middle - 8,
            width=max(1.0, places[3] - places[1]),
            height=16,
            fill="none",
            **line,
        ),
        *dots,
        el("line", x1=places[2], x2=places[2], y1=middle - 9, y2=middle + 9, stroke=colour, stroke_width=3.5),
    )


def _marker(x: float, y: float, style: int, colour: str) -> Html:
    shape = style % 3
    if shape == 0:
        return el("circle", cx=x, cy=y, r=2.8, fill=colour, opacity=0.75)
    if shape == 1:
        return el("rect", x=x - 2.6, y=y - 2.6, width=5.2, height=5.2, fill=colour, opacity=0.75)
    return el("path", d=f"M{x:.1f} {y - 3.4:.1f}l3.2 5.8h-6.4z", fill=colour, opacity=0.75)


def _axes(x_limits: tuple[float, float], y_limits: tuple[float, float]) -> tuple[Axis, Axis]:
    x_axis = Axis(low=x_limits[0], high=x_limits[1], start=_LEFT, stop=WIDTH - _RIGHT - 6)
    y_axis = Axis(low=y_limits[0], high=y_limits[1], start=HEIGHT - _BOTTOM, stop=_TOP)
    return x_axis, y_axis


def _x_axis(axis: Axis, label: str, bottom: float = HEIGHT - _BOTTOM, *, whole: bool = False) -> Html:
    parts = [el("line", class_="axis", x1=axis.start, x2=axis.stop, y1=bottom, y2=bottom)]
    marks = axis.whole_ticks() if whole else axis.ticks()
    shown = _not_crowded(axis, marks)
    for mark in marks:
        x = axis.place(mark)
        parts.append(el("line", class_="axis", x1=x, x2=x, y1=bottom, y2=bottom + 4))
        if mark in shown:
            place = _number_place(axis, mark)
            parts.append(el("text", _compact(mark), x=place, y=bottom + 17, text_anchor="middle"))
    parts.append(el("text", label, x=(axis.start + axis.stop) / 2, y=bottom + 34, text_anchor="middle"))
    return join(parts)


def _not_crowded(axis: Axis, marks: Sequence[float]) -> set[float]:
    """Marks whose numbers do not touch each other: all, every second, every third …"""
    for step in range(1, len(marks) + 1):
        shown = marks[::step]
        widths = [_text_width(mark) + 8 for mark in shown]
        places = [_number_place(axis, mark) for mark in shown]
        gaps = zip(places, places[1:], widths, widths[1:], strict=False)
        if all(after - before >= (first + second) / 2 for before, after, first, second in gaps):
            return set(shown)
    return set(marks[:1])


def _number_place(axis: Axis, mark: float) -> float:
    """Middle of a number under its mark, moved so that it stays inside the picture."""
    return min(axis.place(mark), WIDTH - 1 - _text_width(mark) / 2)


def _text_width(mark: float) -> float:
    return 6.8 * len(_compact(mark))


def _y_axis(axis: Axis, label: str) -> Html:
    parts = []
    for mark in axis.ticks():
        y = axis.place(mark)
        parts.append(el("line", class_="grid", x1=_LEFT, x2=WIDTH - _RIGHT - 6, y1=y, y2=y))
        parts.append(el("text", _compact(mark), x=_LEFT - 5, y=y + 4, text_anchor="end"))
    middle = (axis.start + axis.stop) / 2
    turn = f"rotate(-90 11 {middle:.1f})"
    parts.append(el("text", label, x=11, y=middle, text_anchor="middle", transform=turn))
    return join(parts)


def _compact(value: float) -> str:
    """A number of at most about five characters, for the narrow margin beside a chart."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten in [low, high], powers alone where there are many; linear ones where few fit."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high < 1000 * low else (1,)
    marks = [factor * 10.0**power for power in powers for factor in factors]
    inside = [mark for mark in marks if low <= mark <= high]
    return inside if len(inside) > 1 else ticks(low, high)


def _thinned(values: Sequence[T]) -> Sequence[T]:
    return values[:: max(1, math.ceil(len(values) / _MAX_POINTS))]


def _legend(series: Sequence[Series], *, lines: bool) -> Html | None:
    if len(series) < 2:
        return None
    items = []
    for one in series:
        dash = _DASHES[one.style % len(_DASHES)]
        line = el("line", x1=0, x2=24, y1=6, y2=6, stroke=one.colour, stroke_width=2.5, stroke_dasharray=dash)
        sample = line if lines else _marker(12, 6, one.style, one.colour)
        items.append(el("li", el("svg", sample, view_box="0 0 24 12", aria_hidden="true"), one.name))
    return el("ul", *items, class_="legend")


def _figure(title: str, description: str, drawing: Html, height: float, legend: Html | None = None) -> Html:
    chart = el(
        "svg", el("title", description), drawing, class_="chart", view_box=f"0 0 {WIDTH:g} {height:g}", role="img"
    )
    return el("figure", el("figcaption", el("strong", title)), chart, legend)
