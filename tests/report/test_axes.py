"""Axes of charts: they cover the data, and their numbers are round, differ, and have the same decimals."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.report.axes import HEIGHT, TOP, Axis, axes_of_plane, draw_x_axis, draw_y_axis, limits, ticks


@settings(max_examples=60)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 12))
def test_ticks_are_round_and_inside_of_the_range(low: float, width: float, count: int) -> None:
    high = low + width
    marks = ticks(low, high, count)
    step = marks[1] - marks[0]
    slack = 1e-6 * max(1.0, abs(low), abs(high), step)
    assert low - slack <= marks[0] <= marks[-1] <= high + slack
    assert 2 <= len(marks) <= 2 * count + 2
    assert marks[0] - low < step + slack
    assert high - marks[-1] < step + slack
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-6)
    assert min(abs(mantissa - good) for good in (1, 2, 5, 10)) < 1e-3 * mantissa


def test_axes_fit_the_data() -> None:
    assert limits([0.8, 0.9]) == pytest.approx((0.796, 0.904))
    assert limits([0.8, 1.0], highest=1.0)[1] == 1.0
    low, high = limits([4.0])
    assert (low + high) / 2 == 4
    assert high - low < 1


def test_axis_turns_values_into_pixels() -> None:
    assert Axis(low=0, high=10, start=HEIGHT, stop=0).place(5) == HEIGHT / 2
    assert Axis(low=1, high=100, start=0, stop=2, log=True).place(10) == pytest.approx(1)


def test_the_axes_of_a_plane_grow_to_the_right_and_upwards() -> None:
    x_axis, y_axis = axes_of_plane((0.0, 1.0), (0.0, 2.0))
    assert x_axis.place(0) < x_axis.place(1)
    assert y_axis.place(0) > y_axis.place(2) == TOP


def test_whole_numbers_only() -> None:
    axis = Axis(low=0.9, high=3.1, start=50, stop=300)
    markup = str(draw_x_axis(axis, "epoch", whole=True))
    assert re.findall(r">([^<]+)</text>", markup) == ["1", "2", "3", "epoch"]


@pytest.mark.parametrize("value", [5.86e-4, 3.2e-7, 0.75, 2.0, 61.0, 12345.0])
@pytest.mark.parametrize("width", [0.0, 0.4, 1.0])
def test_the_numbers_of_an_axis_differ_and_have_the_same_decimals(value: float, width: float) -> None:
    low, high = limits([value, value * (1 + width)], lowest=0.0)
    markup = str(draw_y_axis(Axis(low=low, high=high, start=HEIGHT, stop=0), "rate"))
    numbers = re.findall(r'text-anchor="end"[^>]*>([^<]+)<', markup)
    assert len(numbers) > 1
    assert len(set(numbers)) == len(numbers)
    if not set("eMk") & set("".join(numbers)):
        assert len({len(text.partition(".")[2]) for text in numbers}) == 1
