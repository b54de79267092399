"""Every schedule starts at the full rate and ends as its name says."""

from __future__ import annotations

import pytest

from mist_bundle.catalog.schedules import SCHEDULES
from mist_bundle.runtime.handlers.schedule import SHAPES, rate_factor

HALF_WAY = {"constant": 1.0, "cosine": 0.5, "polynomial": 0.5**0.9}


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_course_of_a_schedule(name: str) -> None:
    settings = SCHEDULES[name].kwargs
    factors = [rate_factor(step, 100, 0, **settings) for step in (0, 50, 99)]
    assert factors[:2] == pytest.approx([1.0, HALF_WAY[name]], abs=1e-9)
    assert factors[2] == 1.0 if name == "constant" else 0.0 < factors[2] < 0.02


def test_every_shape_of_the_runtime_is_on_the_menu() -> None:
    assert {row.kwargs["shape"] for row in SCHEDULES.values()} == set(SHAPES)
