"""Charts: where their marks are, that everything is inside, and that numbers do not touch."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.report import charts
from mist_bundle.report.axes import WIDTH
from mist_bundle.report.charts import Series
from mist_bundle.report.colours import NEUTRAL


def _svg(figure: str) -> ET.Element:
    return ET.fromstring(re.findall(r"<svg.*?</svg>", figure, re.DOTALL)[0])


def test_line_goes_through_its_points() -> None:
    figure = charts.line_chart("Loss", "epoch", "loss", [Series(name="fold 0", points=[(1, 4.0), (3, 2.0), (5, 1.0)])])
    path = next(one.attrib["d"] for one in _svg(figure).iter("path"))
    places = np.array([[float(number) for number in pair.split()] for pair in path[1:].split("L")])
    assert np.all(np.diff(places[:, 0]) > 0)
    assert np.all(np.diff(places[:, 1]) > 0), "down the page, since the loss falls"
    # 4 -> 2 is twice as far as 2 -> 1
    assert (places[1, 1] - places[0, 1]) / (places[2, 1] - places[1, 1]) == pytest.approx(2, abs=0.02)


def test_box_is_at_the_quartiles() -> None:
    values = np.random.default_rng(1).normal(50, 10, 41).tolist()
    svg = _svg(charts.box_plot("Dice", "x", [("liver", values, NEUTRAL)]))
    (box,) = list(svg.iter("rect"))
    labels = {one.text: float(one.attrib["x"]) for one in svg.iter("text") if one.attrib.get("text-anchor") == "middle"}
    marks = sorted((float(text), x) for text, x in labels.items() if text and re.fullmatch(r"-?[\d.]+", text))
    scale = np.polyfit([value for value, _ in marks], [x for _, x in marks], 1)
    low, high = np.percentile(values, (25, 75))
    assert float(box.attrib["x"]) == pytest.approx(np.polyval(scale, low), abs=0.6)
    assert float(box.attrib["width"]) == pytest.approx(scale[0] * (high - low), abs=0.6)
    assert len(list(svg.iter("circle"))) == len(values)


def test_logarithmic_box_plot() -> None:
    values = [1.0, 10.0, 100.0]
    svg = _svg(charts.box_plot("Size", "mm³", [("lesion", values, NEUTRAL)], log=True))
    places = [float(dot.attrib["cx"]) for dot in svg.iter("circle")]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.01)
    linear = _svg(charts.box_plot("Size", "mm³", [("lesion", [0.0, 10.0, 100.0], NEUTRAL)], log=True))
    assert len(list(linear.iter("circle"))) == 3, "zero has no logarithm, so the axis stays linear"


def test_histogram_has_a_bar_for_each_count() -> None:
    svg = _svg(charts.histogram("Spacing", "mm", [1, 2, 3, 4, 5], [3, 1, 0, 1]))
    heights = sorted(float(bar.attrib["height"]) for bar in svg.iter("rect"))
    assert len(heights) == 3
    assert heights[-1] / heights[0] == pytest.approx(3, rel=0.01)


def test_equal_volumes_are_on_the_line() -> None:
    svg = _svg(charts.scatter("V", "x", "y", [Series(name="a", points=[(2.0, 2.0), (7.0, 7.0)])], identity=True))
    (line,) = [one for one in svg.iter("line") if "stroke-dasharray" in one.attrib]
    x1, y1, x2, y2 = (float(line.attrib[key]) for key in ("x1", "y1", "x2", "y2"))
    for dot in svg.iter("circle"):
        share = (float(dot.attrib["cx"]) - x1) / (x2 - x1)
        assert float(dot.attrib["cy"]) == pytest.approx(y1 + share * (y2 - y1), abs=0.05)


@settings(max_examples=25)
@given(st.lists(st.floats(0.001, 1e7), min_size=1, max_size=12), st.booleans())
def test_everything_is_inside_and_numbers_do_not_touch(values: list[float], log: bool) -> None:
    svg = _svg(charts.box_plot("Any", "unit", [("a very long name of a structure", values, NEUTRAL)], log=log))
    bottom = float(svg.attrib["viewBox"].split()[3])
    for dot in svg.iter("circle"):
        assert 0 <= float(dot.attrib["cx"]) <= WIDTH
        assert 0 <= float(dot.attrib["cy"]) <= bottom
    numbers = [one for one in svg.iter("text") if one.attrib.get("text-anchor") == "middle"][:-1]
    ends = sorted(
        (float(one.attrib["x"]) - 3.4 * len(one.text or ""), float(one.attrib["x"]) + 3.4 * len(one.text or ""))
        for one in numbers
    )
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))
    assert ends[-1][1] <= WIDTH


def test_names_are_escaped_and_described() -> None:
    name = "<script>alert(1)</script> & co"
    figure = charts.box_plot(name, name, [(name, [1.0, 2.0], NEUTRAL)])
    assert "<script>" not in figure
    svg = _svg(figure)
    assert svg.attrib["role"] == "img"
    assert name in (svg.find("title").text or "")  # type: ignore[union-attr]


def test_no_values_no_chart() -> None:
    assert charts.line_chart("a", "b", "c", []) == ""
    assert charts.box_plot("a", "b", [("x", [], NEUTRAL)]) == ""
    assert charts.histogram("a", "b", [0, 1], [0]) == ""
    assert charts.scatter("a", "b", "c", []) == ""


def test_a_single_epoch_is_a_dot_in_the_middle() -> None:
    svg = _svg(charts.line_chart("Loss", "epoch", "loss", [Series(name="fold 0", points=[(1, 0.7)])]))
    (dot,) = list(svg.iter("circle"))
    assert float(dot.attrib["cx"]) == pytest.approx((56 + WIDTH - 16) / 2, abs=1)
    assert next(one.text for one in svg.iter("text")) == "1"
