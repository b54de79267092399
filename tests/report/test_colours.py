"""A structure has the same colour in charts, pictures and the viewer."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from mist_bundle.analysis.details import structures_of
from mist_bundle.report.colours import (
    STRUCTURE_COLOURS,
    chart_colour,
    fold_colour,
    label_colours,
    rgb,
    structure_colours,
    structure_rgb,
)
from mist_bundle.report.html import document
from mist_bundle.resources import own_text

# linear RGB as it is seen: Machado, Oliveira and Fernandes, IEEE TVCG 2009, severity 1
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# linear sRGB to CIE XYZ, relative to the white of D65
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(axis=1)
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


@pytest.mark.parametrize("background", ["#ffffff", "#12161c", "#1b2129", "#000000"])
def test_every_colour_is_readable_on_every_page_and_over_images(background: str) -> None:
    for colour in STRUCTURE_COLOURS:
        # WCAG 2.2, 1.4.11: contrast of graphics
        assert _contrast(colour, background) > 3, f"{colour} on {background}"


@pytest.mark.parametrize("vision", list(VISIONS))
def test_colours_can_be_told_apart_with_any_colour_vision(vision: str) -> None:
    seen = [_lab(colour, VISIONS[vision]) for colour in STRUCTURE_COLOURS]
    for one, other in itertools.combinations(range(len(seen)), 2):
        difference = np.linalg.norm(seen[one] - seen[other])
        assert difference > 19, f"{STRUCTURE_COLOURS[one]} and {STRUCTURE_COLOURS[other]}"


def test_pages_define_the_colours_once_for_both_schemes() -> None:
    page = document("title", "", [])
    assert re.findall(r"--c(\d): (#\w+);", page) == [(str(n), colour) for n, colour in enumerate(STRUCTURE_COLOURS)]
    assert chart_colour(len(STRUCTURE_COLOURS)) == chart_colour(0) == "var(--c0)"
    assert structure_rgb(0) == rgb(STRUCTURE_COLOURS[0]) == (16, 155, 228)


def test_folds_and_axes_have_colours_of_their_own() -> None:
    css = own_text("report/assets/report.css")
    schemes = re.findall(r"--neutral: #\w+;\n.*--f4: #\w+", css)
    assert len(schemes) == 2
    for scheme in schemes:
        muted = re.findall(r"--(?:f\d|neutral): (#\w+)", scheme)
        assert len(muted) == 1 + 5
        assert len({*muted, *STRUCTURE_COLOURS}) == len(muted) + len(STRUCTURE_COLOURS)
    assert fold_colour(5) == fold_colour(0) == "var(--f0)"


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    return float(TO_XYZ[1] @ _linear(colour))


def _linear(colour: str) -> np.ndarray:
    shares = np.array(rgb(colour)) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def _lab(colour: str, vision: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a colour as it is seen."""
    ratios = np.clip(TO_XYZ @ np.clip(vision @ _linear(colour), 0, 1) / WHITE, 0, None)
    x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
