"""A patch's draw becomes the arrays that DALI's graph takes, in its order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mist_bundle.runtime.loading.affine import dali_matrix
from mist_bundle.runtime.loading.dali.inputs import SCALARS, VECTORS, drawn_inputs
from mist_bundle.runtime.loading.patches import PatchDraw

SIZE = (8, 6, 4)
MAP = ((0.0, 1.0, 0.0, 2.0), (1.0, 0.0, 0.0, 3.0), (0.0, 0.0, 1.0, 4.0))


def inputs(**changes: Any) -> dict[str, NDArray[Any]]:
    settings: dict[str, Any] = {"case": 0, "start": (0, 0, 0), "extent": SIZE, "flips": (False, False, False)}
    settings |= {"noise_sd": 0.1, "noise_offset": 7, "blur_sigma": 0.2, "brightness": 0.3, "contrast": 0.4}
    draw = PatchDraw(**settings | changes)
    return dict(zip((*SCALARS, *VECTORS), drawn_inputs(draw, SIZE), strict=True))


def test_numbers_stand_under_their_own_names() -> None:
    values = inputs(gamma=0.5, inverted_gamma=0.6)
    expected = {"noise_sd": 0.1, "blur_sigma": 0.2, "brightness": 0.3, "contrast": 0.4, "gamma": 0.5}
    expected["inverted_gamma"] = 0.6
    for name, number in expected.items():
        assert values[name].dtype == np.float32
        assert float(values[name]) == pytest.approx(number)
    assert values["noise_offset"].tolist() == [7]


@pytest.mark.parametrize(
    ("changes", "zoomed", "warped", "reduced"),
    [
        ({}, False, False, False),
        ({"extent": (6, 5, 3)}, True, False, False),
        ({"extent": (12, 12, 12), "box_map": MAP}, False, True, False),
        ({"low_resolution": (4, 3, 2)}, False, False, True),
    ],
)
def test_switches_follow_the_draw(changes: dict[str, Any], zoomed: bool, warped: bool, reduced: bool) -> None:
    values = inputs(**changes)
    assert (bool(values["zoomed"]), bool(values["warped"]), bool(values["reduced"])) == (zoomed, warped, reduced)
    assert values["low_resolution"].tolist() == list(changes.get("low_resolution", SIZE))


def test_the_map_is_in_dalis_order() -> None:
    np.testing.assert_array_equal(inputs()["matrix"], np.eye(3, 4))
    np.testing.assert_array_equal(inputs(box_map=MAP)["matrix"], dali_matrix(MAP))
