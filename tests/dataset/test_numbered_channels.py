"""Folders of images with nnU-Net's channel numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.dataset.prediction_inputs import match_prediction_inputs
from mist_bundle.errors import InputError
from tests.dataset.samples import touch


def test_the_number_of_a_single_channel_is_no_part_of_the_id(tmp_path: Path) -> None:
    touch(tmp_path, "liver_001_0000.nii.gz", "liver_002_0000.nrrd")
    found = match_prediction_inputs(tmp_path, ["ct"])
    assert {case.id: case.images["ct"].name for case in found.cases} == {
        "liver_001": "liver_001_0000.nii.gz",
        "liver_002": "liver_002_0000.nrrd",
    }
    assert found.warnings == ()


def test_several_channels_are_grouped_in_the_order_of_the_model(tmp_path: Path) -> None:
    touch(tmp_path, "a_0001.nii.gz", "a_0000.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz")
    found = match_prediction_inputs(tmp_path, ["t1", "flair"])
    assert [case.id for case in found.cases] == ["a", "b"]
    assert {channel: path.name for channel, path in found.cases[0].images.items()} == {
        "t1": "a_0000.nii.gz",
        "flair": "a_0001.nii.gz",
    }
    (warning,) = found.warnings
    assert "_0000 is t1, _0001 is flair" in warning.message


def test_cases_with_other_channels_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    touch(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "c_0000.nii.gz", "c_0001.nii.gz", "c_0001.nii")
    found = match_prediction_inputs(tmp_path, ["t1", "flair"])
    assert [case.id for case in found.cases] == ["a"]
    problems = {problem.path: problem.message for problem in found.problems}
    assert problems["b"] == "has the images _0000; the model takes _0000 (t1), _0001 (flair)."
    assert "would be the same channel" in problems["c"]
    (tmp_path / "b_0000.nii.gz").unlink()
    with pytest.raises(InputError, match=r"a: has the images _0000, _0001; the model takes _0000 \(ct\)"):
        match_prediction_inputs(tmp_path, ["ct"])


def test_other_names_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "scan_0000.nii.gz", "other.nii.gz")
    assert [case.id for case in match_prediction_inputs(tmp_path, ["ct"]).cases] == ["other", "scan_0000"]


def test_an_optional_channel_may_be_missing(tmp_path: Path) -> None:
    touch(tmp_path, "a_0000.nii.gz", "a_0001.nii.gz", "b_0000.nii.gz", "c_0001.nii.gz")
    found = match_prediction_inputs(tmp_path, ["t1", "flair"], optional=("flair",))
    assert {case.id: list(case.images) for case in found.cases} == {"a": ["t1", "flair"], "b": ["t1"]}
    assert [problem.path for problem in found.problems] == ["c"]
