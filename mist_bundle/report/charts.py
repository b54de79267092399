"""Charts as inline SVG, without a script and in the colours and fonts of the page.

Each chart is a figure with a heading, a description for screen readers and, with several series, a legend in HTML.
Line styles repeat what colours distinguish. The SVG is written here because matplotlib's does not follow the light and
dark schemes of the page, has no tooltips, takes 5 to 10 times as long and is 1.5 to 3 times as large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from mist_bundle.report.axes import (
    BOTTOM,
    HEIGHT,
    MARGIN,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    axes_of_plane,
    draw_x_axis,
    draw_y_axis,
    limits,
)
from mist_bundle.report.colours import NEUTRAL
from mist_bundle.report.html import Html, bullets, el, join, number

_ROW_HEIGHT = 30.0  # pixels of a box plot
_DASHES = (None, "6 3", "2 3", "8 3 2 3")
_MAX_POINTS = 1500  # in a scatter plot or beside a box; more make the page heavy without being more informative
_MAX_DOTS = 12  # points of a line that are also drawn as dots
_MAX_DESCRIBED = 20  # rows of a box plot
_LABEL_CHARACTERS = 18
_LOG_ABOVE = 20.0

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


def line_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *, from_zero: bool = False) -> Html:
    """Lines over a common x; a single point is drawn as a dot."""
    xs, ys = _coordinates(series)
    if not xs:
        return Html()
    lowest = 0.0 if min(ys) >= 0 else -math.inf
    x_axis, y_axis = axes_of_plane(limits(xs), limits(ys, lowest=lowest))
    if from_zero:
        y_axis = replace(y_axis, low=0.0)
    marks = []
    descriptions = []
    for line in series:
        if line.points:
            marks += _line(line, x_axis, y_axis)
            first, last = line.points[0][1], line.points[-1][1]
            descriptions.append(f"{line.name}: from {number(first)} to {number(last)}")
    drawing = join([draw_x_axis(x_axis, x_label, whole=True), draw_y_axis(y_axis, y_label), *marks])
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
    x_axis, y_axis = axes_of_plane((edges[0], edges[-1]), (0.0, max(counts) * (1 + MARGIN)))
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
    drawing = join([draw_y_axis(y_axis, y_label), *bars, draw_x_axis(x_axis, x_label)])
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
        low, high = min(everything) / (1 + MARGIN), max(everything) * (1 + MARGIN)
    else:
        low, high = limits(everything, lowest=lowest, highest=highest)
    bottom = TOP + _ROW_HEIGHT * len(filled)
    longest_name = max(len(name) for name, _, _ in filled)
    left = 24.0 + 6.6 * min(_LABEL_CHARACTERS, longest_name)
    axis = Axis(low=low, high=high, start=left, stop=WIDTH - RIGHT, log=log)
    marks = [draw_x_axis(axis, x_label, bottom)]
    descriptions = []
    for index, (name, values, colour) in enumerate(filled):
        marks.append(_box(axis, TOP + _ROW_HEIGHT * (index + 0.5), name, values, colour))
        median = number(float(np.median(values)))
        descriptions.append(f"{name}: median {median}, from {number(values[0])} to {number(values[-1])}")
    description = f"{title}. {'; '.join(descriptions[:_MAX_DESCRIBED])}"
    return _figure(title, description, join(marks), bottom + BOTTOM)


def scatter(title: str, x_label: str, y_label: str, series: Sequence[Series], *, identity: bool = False) -> Html:
    """Points; with `identity` both axes have the same limits and a line marks equality."""
    xs, ys = _coordinates(series)
    if not xs:
        return Html()
    num_points = len(xs)
    if identity:
        xs = ys = xs + ys
    x_axis, y_axis = axes_of_plane(limits(xs), limits(ys))
    marks = []
    if identity:
        ends = {"x1": x_axis.start, "y1": y_axis.start, "x2": x_axis.stop, "y2": y_axis.stop}
        marks.append(el("line", class_="axis", stroke_dasharray="4 3", **ends))
    for group in series:
        for x, y in _thinned(group.points):
            marks.append(_marker(x_axis.place(x), y_axis.place(y), group.style, group.colour))
    description = f"{title}: {num_points} points; {x_label} from {number(min(xs))} to {number(max(xs))}."
    drawing = join([draw_x_axis(x_axis, x_label), draw_y_axis(y_axis, y_label), *marks])
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
