"""A structure has one colour on the whole page, and hues over pictures are those in charts."""

from __future__ import annotations

import colorsys
import re
from pathlib import Path

import pytest

import mist_bundle.report
from mist_bundle.analysis.details import structures_of
from mist_bundle.report.colours import OVERLAY_COLOURS, chart_colour, fold_colour, label_colours, structure_colours

NAMES = {0: "background", 1: "edema", 2: "core", 4: "ET"}
CLASSES = {"WT": [1, 2, 4], "TC": [2, 4], "ET": [4]}


def test_classes_of_one_label_have_its_colour_and_others_one_of_their_own() -> None:
    colours = structure_colours([0, 1, 2, 4], NAMES, CLASSES)
    assert label_colours([0, 1, 2, 4]) == {1: 0, 2: 1, 4: 2}
    assert colours == {"edema": 0, "core": 1, "ET": 2, "WT": 3, "TC": 4}
    # the part about the data numbers its structures in this order
    order = list(structures_of([0, 1, 2, 4], NAMES, CLASSES))
    assert [colours[name] for name in order] == list(range(5))


def test_a_class_called_as_another_label_has_its_own_colour() -> None:
    colours = structure_colours([0, 1, 2], {0: "background", 1: "liver", 2: "tumour"}, {"liver": [1, 2], "tumour": [2]})
    assert colours == {"liver": 2, "tumour": 1}


@pytest.mark.parametrize("scheme", [0, 1])
def test_the_style_sheet_has_the_same_hues(scheme: int) -> None:
    css = (Path(mist_bundle.report.__file__).parent / "assets" / "report.css").read_text(encoding="utf-8")
    rows = re.findall(r"--c0: .*--c7: #\w+", css)
    chart = re.findall(r"--c\d: (#\w+)", rows[scheme])
    assert len(chart) == len(OVERLAY_COLOURS)
    assert chart_colour(len(chart)) == chart_colour(0) == "var(--c0)"
    for one, other in list(zip(chart, OVERLAY_COLOURS, strict=True))[:-1]:  # the last is grey and white
        difference = abs(_hue(one) - _hue(other))
        assert min(difference, 1 - difference) < 0.06, f"{one} and {other}"


def test_what_is_no_structure_has_no_colour_of_one() -> None:
    css = (Path(mist_bundle.report.__file__).parent / "assets" / "report.css").read_text(encoding="utf-8")
    for scheme in re.findall(r"--c0: .*--c7: .*\n.*--f4: #\w+", css):
        colours = re.findall(r"--(?:c\d|f\d|neutral): (#\w+)", scheme)
        assert len(colours) == 8 + 1 + 5
        assert len(set(colours)) == len(colours)
    assert fold_colour(5) == fold_colour(0) == "var(--f0)"


def _hue(colour: str) -> float:
    return colorsys.rgb_to_hsv(*(int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)))[0]
