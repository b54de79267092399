from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mist_bundle.errors import Problem
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.plan_warnings import group_alike, plan_warnings
from tests.dataset.samples import example_arrays, save_volume
from tests.planning.plans import SMALL_DATASET_OPTIONS as OPTIONS

FOLDS = {"case_000": 0, "case_001": 0, "case_002": 1, "case_003": 1}


def said(dataset):
    return {problem.path: problem.message for problem in plan_warnings(*dataset, FOLDS)}


def with_label(*ids, label=4):
    """Take a label out of all other cases."""

    def damage(folder):
        for case in sorted(folder.iterdir()):
            array = example_arrays(int(case.name[-1]))["seg"]
            save_volume(case / "seg.nii.gz", array if case.name in ids else np.where(array == label, 1, array))

    return damage


def test_sound_data_raise_no_warning(small_dataset):
    assert said(small_dataset(replace(OPTIONS, flip_axes=(1, 2)))) == {}


def test_a_label_that_no_training_fold_holds(small_dataset):
    found = said(small_dataset(damage=with_label("case_002", "case_003")))
    assert "in no training case of fold 1: only case_002, case_003 hold it" in found["label 4 (small)"]
    assert said(small_dataset(damage=with_label("case_000", "case_003"))) == {}


def test_a_label_that_vanishes_in_resampling(small_dataset):
    def damage(folder):
        for path in folder.glob("*/seg.nii.gz"):
            array = example_arrays()["seg"]
            array[array == 4] = 1
            array[5, 5, 4] = 4
            save_volume(path, array)

    found = said(small_dataset(replace(OPTIONS, target_spacing=(1.3, 1.3, 1.3)), damage=damage))
    assert found == {
        "each of 4 cases (case_000, case_001, case_002, case_003)": "loses small (1 voxel): less than 1 voxel is left "
        "on the plan's grid of 1.3 x 1.3 x 1.3 mm. A finer --target_spacing would keep it."
    }


def test_a_case_that_no_memory_could_hold_on_the_grid(small_dataset):
    def damage(folder):
        for name, array in example_arrays(2).items():
            save_volume(folder / "case_002" / f"{name}.nii.gz", array, np.diag([1e4, 1e4, 1e4, 1]))

    spec, fingerprint, plan = small_dataset(damage=damage)
    assert plan.target_spacing_mm.value == (1.0, 1.0, 1.0)
    messages = [one.message for one in plan_warnings(spec, fingerprint, plan, FOLDS) if one.path == "case_002"]
    assert any("cannot be prepared" in message for message in messages)
    assert any("left out of the choice of the grid" in message for message in messages)


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("kidney_left", "kidney_right"), "kidney_left and kidney_right"),
        (("Left-Hippocampus", "Right-Hippocampus"), "Left-Hippocampus and Right-Hippocampus"),
        (("lungL", "lungR"), "lungL and lungR"),
        (("kidney_left", "spleen_right"), None),
        (("liver", "bright"), None),
    ],
)
def test_classes_of_either_side_and_flips(small_dataset, names, pairs):
    classes = {names[0]: [1], names[1]: [4]}
    mirrored = said(small_dataset(replace(OPTIONS, flip_axes=(0, 1)), final_classes=classes))
    assert ("classes" in mirrored) == (pairs is not None)
    if pairs:
        assert pairs in mirrored["classes"]
        assert "--flip_axes 1" in mirrored["classes"]
        assert "classes" not in said(small_dataset(replace(OPTIONS, flip_axes=(1,)), final_classes=classes))


def test_what_is_alike_shares_a_line():
    ids = [f"c{index}" for index in range(5)]
    alike = [Problem(one, f"{one}_t1.nii.gz is 1.5e+03 mm long.") for one in ids]
    other = Problem("c1", "is odd.")
    (first, second) = group_alike([*alike, other], ids)
    assert first.path == "each of 5 cases (c0, c1, c2, c3, c4)"
    assert first.message == "c0_t1.nii.gz is 1.5e+03 mm long. The numbers are those of c0."
    assert second == other
    same = [Problem(one, "t1.nii.gz is blank.") for one in ids]
    assert group_alike(same, ids) == [Problem("each of 5 cases (c0, c1, c2, c3, c4)", "t1.nii.gz is blank.")]
    assert group_alike(alike[:3], ids) == alike[:3]
    many = [f"c{index}" for index in range(20)]
    (merged,) = group_alike([Problem(one, "is blank.") for one in many], many)
    assert merged.path == "each of 20 cases (c0, c1, c2, c3, c4, c5, c6, c7 and 12 more)"


def test_warnings_travel_in_the_plan(small_dataset):
    _, _, plan = small_dataset()
    with_warnings = replace(plan, warnings=(("case_000", "is odd."),))
    again = Plan.from_json(json.loads(json.dumps(with_warnings.to_json())), "plan.json")
    assert again.warnings == (("case_000", "is odd."),)
