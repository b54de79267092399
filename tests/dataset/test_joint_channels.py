"""Images that hold all channels of a case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mist_bundle.dataset.joint_channels import joint_image
from mist_bundle.dataset.prediction_inputs import match_prediction_inputs
from mist_bundle.errors import InputError
from tests.dataset.samples import save_volume, touch

CHANNELS = ["t1", "flair"]
AFFINE = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, 3.0, 11], [0, 0, 0, 1]])


def _voxels(channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(-50, 900, (5, 6, 7, channels)).astype(np.int16)


def _as_vector_image(path: Path, array: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0, 3)), isVector=True)
    image.SetSpacing([1.5, 2.0, 3.0])
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_an_image_has_the_channels_of_the_model(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scan{suffix}"
    if "nii" in suffix:
        save_volume(path, _voxels(), AFFINE)
    else:
        _as_vector_image(path, _voxels())
    found = match_prediction_inputs(path, CHANNELS)
    (case,) = found.cases
    assert (case.id, list(case.images), joint_image(case)) == ("scan", CHANNELS, path)
    (warning,) = found.warnings
    assert "1 is t1, 2 is flair" in warning.message


@pytest.mark.parametrize("names", [("a", "b", "c", "d"), ("a_0000", "b_0000", "b_0001", "d_0000")])
def test_a_folder_of_images_names_those_that_do_not_fit(names: tuple[str, ...], tmp_path: Path) -> None:
    good, three, flat, broken = (tmp_path / f"{name}.nii.gz" for name in names)
    save_volume(good, _voxels())
    save_volume(three, _voxels(3))
    save_volume(flat, _voxels()[..., 0])
    touch(tmp_path, broken.name)
    found = match_prediction_inputs(tmp_path, CHANNELS)
    assert [(case.id, joint_image(case)) for case in found.cases] == [(names[0], good)]
    problems = {problem.path: problem.message for problem in found.problems}
    assert "holds 3 channels, but the model takes 2 channels (t1, flair)" in problems[names[1]]
    assert "holds 1 channel, but the model takes 2 channels" in problems[names[2]]
    assert "is empty" in problems[names[3]]


def test_a_table_of_images_with_all_channels(tmp_path: Path) -> None:
    save_volume(tmp_path / "x.nii.gz", _voxels())
    (tmp_path / "t.csv").write_text("id,image\n007,x.nii.gz\n008,gone.nii.gz\n009,\n")
    found = match_prediction_inputs(tmp_path / "t.csv", CHANNELS)
    assert [(case.id, joint_image(case)) for case in found.cases] == [("007", tmp_path / "x.nii.gz")]
    assert [problem.path for problem in found.problems] == ["009", "008"]
    with pytest.raises(InputError, match='no column for the channel "ct"'):
        match_prediction_inputs(tmp_path / "t.csv", ["ct"])


def test_files_of_single_channels_stay_what_they_are(tmp_path: Path) -> None:
    for name in CHANNELS:
        save_volume(tmp_path / f"case_7/{name}.nii.gz", _voxels()[..., 0])
    found = match_prediction_inputs(tmp_path / "case_7", CHANNELS)
    assert [joint_image(case) for case in found.cases] == [None]


@pytest.mark.parametrize("volumes", [2, 30])
def test_another_series_beside_the_images_of_the_channels_is_left_alone(volumes: int, tmp_path: Path) -> None:
    for name in CHANNELS:
        save_volume(tmp_path / f"case_7/{name}.nii.gz", _voxels()[..., 0])
    save_volume(tmp_path / "case_7/dwi.nii.gz", _voxels(volumes))
    (case,) = match_prediction_inputs(tmp_path / "case_7", CHANNELS).cases
    assert (case.id, list(case.images), joint_image(case)) == ("case_7", CHANNELS, None)
    (tmp_path / "case_7/flair.nii.gz").rename(tmp_path / "case_7/other.nii.gz")
    if volumes == 30:
        with pytest.raises(InputError, match='taken for the folder of a single case: no file matches "flair"'):
            match_prediction_inputs(tmp_path / "case_7", CHANNELS)


def test_numbered_images_beside_another_series(tmp_path: Path) -> None:
    for name in ("x_0000", "x_0001"):
        save_volume(tmp_path / f"{name}.nii.gz", _voxels()[..., 0])
    save_volume(tmp_path / "y_0000.nii.gz", _voxels(30))
    found = match_prediction_inputs(tmp_path, CHANNELS)
    assert [(case.id, joint_image(case)) for case in found.cases] == [("x", None)]
    assert [problem.path for problem in found.problems] == ["y"]


def test_images_that_all_have_another_number_of_channels(tmp_path: Path) -> None:
    for name in ("a_0000", "b_0000"):
        save_volume(tmp_path / f"{name}.nii.gz", _voxels(3))
    with pytest.raises(InputError, match=r"a_0000: a_0000\.nii\.gz holds 3 channels, but the model takes 2 channels"):
        match_prediction_inputs(tmp_path, CHANNELS)


def _case_folders(folder: Path, **files: tuple[str, np.ndarray]) -> Path:
    for case, (name, array) in files.items():
        save_volume(folder / case / f"{name}.nii.gz", array, AFFINE)
    return folder


@pytest.mark.parametrize("name", ["scan", "t1", "flair", "p1_t1_flair", "x_0000"])
def test_case_folders_that_hold_an_image_with_all_channels(name: str, tmp_path: Path) -> None:
    folder = _case_folders(tmp_path / "in", p1=(name, _voxels()), p2=(name, _voxels()))
    found = match_prediction_inputs(folder, CHANNELS)
    assert [(case.id, list(case.images)) for case in found.cases] == [("p1", CHANNELS), ("p2", CHANNELS)]
    for case in found.cases:
        assert joint_image(case) == folder / case.id / f"{name}.nii.gz"
    (warning,) = found.warnings
    assert "1 is t1, 2 is flair" in warning.message
    assert len(match_prediction_inputs(folder, CHANNELS, optional=["flair"]).cases) == 2


def test_case_folders_of_both_kinds_and_what_does_not_fit(tmp_path: Path) -> None:
    folder = _case_folders(
        tmp_path / "in",
        joint=("scan", _voxels()),
        other=("scan", _voxels(3)),
        flat=("scan", _voxels()[..., 0]),
        half=("t1", _voxels()[..., 0]),
        twice=("scan", _voxels()),
        named=("dwi", _voxels()),
        labelled=("scan", _voxels()),
    )
    save_volume(folder / "half/dwi.nii.gz", _voxels())
    save_volume(folder / "twice/again.nii.gz", _voxels())
    save_volume(folder / "labelled/mask.nii.gz", _voxels()[..., 0])
    for channel in CHANNELS:
        save_volume(folder / f"named/{channel}.nii.gz", _voxels()[..., 0])
    touch(folder / "broken", "scan.nii.gz")
    found = match_prediction_inputs(folder, CHANNELS)
    joint = {case.id: joint_image(case) for case in found.cases}
    assert joint == {
        "joint": folder / "joint/scan.nii.gz",
        "labelled": folder / "labelled/scan.nii.gz",
        "named": None,
    }
    problems = {problem.path: problem.message for problem in found.problems}
    assert "holds 3 channels, but the model takes 2 channels (t1, flair)" in problems["other"]
    assert 'no file matches "flair"' in problems["flat"]
    assert 'no file matches "flair"' in problems["half"], "a series beside the file of a channel is not an image of all"
    assert "again.nii.gz and scan.nii.gz hold 2 channels each" in problems["twice"]
    assert "is empty" in problems["broken"]
    assert set(problems) == {"other", "flat", "half", "twice", "broken"}
