from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mist_bundle.analysis.fingerprint import analyze
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.doubts import plan_doubts, refuse_degenerate, together
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import Plan, make_plan
from tests.dataset.samples import example_arrays, save_volume, write_dataset

OPTIONS = PlanOptions(recipe="quick", folds=2, patch_size=(8, 8, 8))
FOLDS = {"case_000": 0, "case_001": 0, "case_002": 1, "case_003": 1}


@pytest.fixture
def made(tmp_path):
    """Spec, fingerprint and plan of four sound cases with the labels 1 and 4, and a way to make them again."""

    def make(options=OPTIONS, damage=None, **changes):
        description = write_dataset(tmp_path, 4, **changes)
        if damage is not None:
            damage(tmp_path / "train")
        spec = DatasetSpec.from_json(description)
        fingerprint = analyze(spec, find_cases(spec).cases)
        return spec, fingerprint, make_plan(spec, fingerprint, options)

    return make


def said(made):
    return {problem.path: problem.message for problem in plan_doubts(*made, FOLDS)}


def with_label(*ids, label=4):
    """Take a label out of all other cases."""

    def damage(folder):
        for case in sorted(folder.iterdir()):
            array = example_arrays(int(case.name[-1]))["seg"]
            save_volume(case / "seg.nii.gz", array if case.name in ids else np.where(array == label, 1, array))

    return damage


def test_sound_data_raise_no_doubt(made):
    assert said(made(replace(OPTIONS, flip_axes=(1, 2)))) == {}


def test_a_label_that_no_training_fold_holds(made):
    found = said(made(damage=with_label("case_002", "case_003")))
    assert "in no training case of fold 1: only case_002, case_003 hold it" in found["label 4 (small)"]
    assert said(made(damage=with_label("case_000", "case_003"))) == {}


def test_a_label_that_vanishes_in_resampling(made):
    def damage(folder):
        for path in folder.glob("*/seg.nii.gz"):
            array = example_arrays()["seg"]
            array[array == 4] = 1
            array[5, 5, 4] = 4
            save_volume(path, array)

    found = said(made(replace(OPTIONS, target_spacing=(1.3, 1.3, 1.3)), damage=damage))
    assert found == {
        "4 cases (case_000, case_001, case_002 …)": "loses small (1 voxel): less than one voxel is left on the "
        "plan's grid of 1.3 x 1.3 x 1.3 mm. A finer --target_spacing would keep it."
    }


def test_a_case_that_no_memory_could_hold_on_the_grid(made):
    def damage(folder):
        for name, array in example_arrays(2).items():
            save_volume(folder / "case_002" / f"{name}.nii.gz", array, np.diag([1e4, 1e4, 1e4, 1]))

    spec, fingerprint, plan = made(damage=damage)
    assert plan.target_spacing_mm.value == (1.0, 1.0, 1.0)
    messages = [one.message for one in plan_doubts(spec, fingerprint, plan, FOLDS) if one.path == "case_002"]
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
def test_classes_of_either_side_and_flips(made, names, pairs):
    classes = {names[0]: [1], names[1]: [4]}
    mirrored = said(made(replace(OPTIONS, flip_axes=(0, 1)), final_classes=classes))
    assert ("classes" in mirrored) == (pairs is not None)
    if pairs:
        assert pairs in mirrored["classes"]
        assert "--flip_axes 1" in mirrored["classes"]
        assert "classes" not in said(made(replace(OPTIONS, flip_axes=(1,)), final_classes=classes))


def test_nothing_to_learn_is_refused(made):
    def damage(folder):
        for path in folder.glob("*/seg.nii.gz"):
            save_volume(path, np.zeros((12, 10, 8), np.uint8))

    with pytest.raises(InputError, match="nothing to learn"):
        made(damage=damage)


@pytest.mark.parametrize("spacing", [(30.0, 30.0, 30.0), (0.001, 0.001, 0.001)])
def test_a_grid_that_was_asked_for_and_means_nothing(made, spacing):
    with pytest.raises(InputError, match="--target_spacing: "):
        made(replace(OPTIONS, target_spacing=spacing))


def test_a_grid_that_means_nothing_names_the_cases(made):
    _, fingerprint, _ = made()
    cases = tuple(
        replace(case, spacing_mm=(size,) * 3) for case, size in zip(fingerprint.cases, (1, 2, 3, 9), strict=True)
    )
    with pytest.raises(InputError, match=r"case_000.*and case_003"):
        refuse_degenerate(replace(fingerprint, cases=cases), (1, 1, 9), (9.0, 9.0, 1.0), asked=False)


def test_what_is_alike_shares_a_line():
    ids = [f"c{index}" for index in range(5)]
    alike = [Problem(one, f"{one}_t1.nii.gz is 1.5e+03 mm long.") for one in ids]
    other = Problem("c1", "is odd.")
    (first, second) = together([*alike, other], ids)
    assert first == Problem("5 cases (c0, c1, c2 …)", "c0_t1.nii.gz is 1.5e+03 mm long. The numbers are those of c0.")
    assert second == other
    same = [Problem(one, "t1.nii.gz is blank.") for one in ids]
    assert together(same, ids) == [Problem("5 cases (c0, c1, c2 …)", "t1.nii.gz is blank.")]
    assert together(alike[:3], ids) == alike[:3]


def test_warnings_travel_in_the_plan(made):
    _, _, plan = made()
    with_warnings = replace(plan, warnings=(("case_000", "is odd."),))
    again = Plan.from_json(json.loads(json.dumps(with_warnings.to_json())), "plan.json")
    assert again.warnings == (("case_000", "is odd."),)
