"""The picture of examples: seen as radiologists do, in the report's colours, one case of each fold after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mist_bundle.bundle.folder import Bundle
from mist_bundle.report.overlay import draw_examples, in_turn
from mist_bundle.report.pictures import edge_letters, plane_view
from tests.report.conftest import Made


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_letters_say_where_the_edges_lie(plane: str) -> None:
    towards = {"L": 0, "P": 1, "S": 2, "R": 0, "A": 1, "I": 2}
    sides = {"left": (..., 0), "right": (..., -1), "top": (0, ...), "bottom": (-1, ...)}
    for letter, side in zip(edge_letters(plane), sides.values(), strict=True):
        volume = np.zeros((4, 5, 6))
        at_the_end = letter in "LPS"  # the axes of the volume point there
        np.moveaxis(volume, towards[letter], 0)[-1 if at_the_end else 0] = 1
        seen = plane_view(volume, plane, 2)
        assert seen[side].all(), f"{letter} lies at the wrong edge"
        assert seen.sum() == seen[side].size


def test_folds_take_turns(trained: Made) -> None:
    cases = [replace(case, fold=fold) for case, fold in zip(trained.files, (1, 0, 0, 0, 1, 2, 2), strict=True)]
    assert [case.fold for case in in_turn(cases)] == [0, 1, 2, 0, 1, 2, 0]
    assert {case.id for case in in_turn(cases)} == {case.id for case in cases}


def test_the_picture_has_the_colours_of_the_labels(trained: Made, tmp_path: Path) -> None:
    path = draw_examples(Bundle(trained.bundle))
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    height, width, _ = pixels.shape
    assert height > width, "a row for each of four cases"
    coloured = np.ptp(pixels, axis=-1) > 60
    for left, right in ((1 / 3, 2 / 3), (2 / 3, 1)):
        column = pixels[: int(0.95 * height), int(left * width) : int(right * width)]
        blue = (column[..., 2] > column[..., 0] + 40).mean()
        orange = (column[..., 0] > column[..., 2] + 40).mean()
        assert blue > 0.02
        assert orange > 0.005
    assert not coloured[: int(0.95 * height), : width // 3].any(), "the first picture is the image alone"


def test_without_predictions_it_is_empty_but_there(untrained: Made, tmp_path: Path) -> None:
    path = draw_examples(Bundle(untrained.bundle, tmp_path))
    assert np.asarray(Image.open(path).convert("L")).mean() > 240
