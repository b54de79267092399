"""Left and right in a plan, from the files to the warnings, the data report and the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mist_bundle.analysis.data_report import DataFacts, make_data_report
from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.bundle.card import model_card
from mist_bundle.planning.flips import decide_flips
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.plan_warnings import plan_warnings
from tests.dataset.samples import example_arrays, save_volume
from tests.planning.plans import SMALL_DATASET_OPTIONS as OPTIONS

Build = Callable[..., Any]
SIDES = {"kidney_left": [1], "kidney_right": [4]}


def _two_sided(mirrored: int) -> Callable[[Path], None]:
    """Write labels with the left kidney on the left; in the first `mirrored` cases the voxels alone are mirrored."""

    def write(folder: Path) -> None:
        for number in range(4):
            arrays = example_arrays(number)
            label = np.zeros_like(arrays["seg"])
            label[3:5, 3:8, 2:6], label[7:9, 3:8, 2:6] = 1, 4
            for name, array in {**arrays, "seg": label}.items():
                turned = array[::-1] if number < mirrored else array
                save_volume(folder / f"case_{number:03d}" / f"{name}.nii.gz", turned)

    return write


def test_sides_are_not_flipped_unless_the_user_says_so(small_dataset: Build) -> None:
    open_flips = replace(OPTIONS, flip_axes=None)
    spec, _, plan = small_dataset(open_flips, final_classes=SIDES)
    assert plan.flip_axes.value == ()  # its recipe flips from left to right only
    assert decide_flips(spec, PlanOptions(recipe="paper")).value == (1, 2)
    assert "kidney_left and kidney_right differ by their side only" in plan.flip_axes.because
    assert 0 not in plan.test_time_flip_axes.value
    assert small_dataset(open_flips)[2].flip_axes.value == (0,)
    assert small_dataset(replace(OPTIONS, flip_axes=(0, 1)), final_classes=SIDES)[2].flip_axes.value == (0, 1)


@pytest.mark.parametrize(("mirrored", "words"), [(0, "4 of 4 cases that show both."), (3, "1 of 4 cases that show")])
def test_mirrored_data_are_reported(small_dataset: Build, mirrored: int, words: str) -> None:
    spec, fingerprint, plan = small_dataset(damage=_two_sided(mirrored), final_classes=SIDES)
    assert plan.sides["kidney_left, kidney_right"]["contrary"] == mirrored
    folds = {f"case_{number:03d}": number % 2 for number in range(4)}
    warned = [problem.path for problem in plan_warnings(spec, fingerprint, plan, folds) if "mirrored" in str(problem)]
    assert warned == [f"case_{number:03d}" for number in range(mirrored)]
    report = make_data_report(DataFacts.of_spec(spec), fingerprint)
    (sentence,) = [text for text in report["observations"] if "kidney_left lies" in text]
    assert words in sentence
    assert words in model_card(plan, spec, "kidneys", [])
    assert Plan.from_json(plan.to_json()).sides == plan.sides


def test_fingerprints_keep_what_was_measured(small_dataset: Build, tmp_path: Path) -> None:
    _, fingerprint, _ = small_dataset(damage=_two_sided(1), final_classes=SIDES)
    fingerprint.write(tmp_path / "fingerprint.json")
    again = Fingerprint.read(tmp_path / "fingerprint.json")
    assert [case.right_of_left_mm for case in again.cases] == [
        {"kidney": -4.0}, {"kidney": 4.0}, {"kidney": 4.0}, {"kidney": 4.0}
    ]  # fmt: skip


def test_data_without_sides_say_nothing(small_dataset: Build) -> None:
    spec, fingerprint, plan = small_dataset()
    assert plan.sides is None
    assert "sides" not in plan.to_json()
    assert make_data_report(DataFacts.of_spec(spec), fingerprint)["sides"] == []
