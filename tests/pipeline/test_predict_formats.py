"""Label maps in other formats hold the same voxels at the same places, whatever the orientation."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import EXIT_OK, InputError
from mist_bundle.pipeline.predict_formats import OutputPlace, contrary_sides, write_label_map
from mist_bundle.runtime.predictions.records import volume_path
from tests.planning.plans import small_plan

SHIPPED = Path(__file__).resolve().parents[2] / "bundles" / "hippocampus_segmentation"
PERMUTATIONS = list(itertools.permutations(range(3)))
SIGNS = list(itertools.product((1.0, -1.0), repeat=3))


def _nifti(path: Path, affine: np.ndarray, shape: tuple[int, ...] = (5, 4, 3)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(0).integers(0, 300, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def _affine(permutation: tuple[int, ...], signs: tuple[float, ...], angles: tuple[float, ...]) -> np.ndarray:
    affine = np.eye(4)
    axes = np.eye(3)[list(permutation)] * np.array(signs)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ axes @ np.diag([0.7, 1.3, 2.5])
    affine[:3, 3] = [10.0, -20.0, 30.5]
    return affine


@examples(max_examples=30)
@given(
    permutation=st.sampled_from(PERMUTATIONS),
    signs=st.sampled_from(SIGNS),
    angles=st.tuples(*[st.sampled_from([0.0, 7.0, -23.0])] * 3),
    suffix=st.sampled_from([".nrrd", ".mha", ".nii", ".nii.gz"]),
)
def test_every_format_and_orientation_against_simpleitk(
    permutation: tuple[int, ...],
    signs: tuple[float, ...],
    angles: tuple[float, ...],
    suffix: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    source = _nifti(folder / "a.nii.gz", _affine(permutation, signs, angles))
    target = folder / f"b{suffix}"
    write_label_map(read_volume(source), target)
    theirs, ours = sitk.ReadImage(str(source)), sitk.ReadImage(str(target))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert ours.GetPixelID() == theirs.GetPixelID()
    for corner in itertools.product((0, 4), (0, 3), (0, 2)):
        expected = theirs.TransformIndexToPhysicalPoint(corner)
        assert ours.TransformIndexToPhysicalPoint(corner) == pytest.approx(expected, abs=1e-3)
    again = read_volume(target)
    np.testing.assert_allclose(again.affine, read_volume(source).affine, atol=1e-4)


def test_sheared_axes_are_refused_where_a_format_cannot_hold_them(tmp_path: Path) -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.4
    source = _nifti(tmp_path / "a.nii.gz", sheared)
    with pytest.raises(InputError, match=r"Use --output_format nii\.gz"):
        write_label_map(read_volume(source), tmp_path / "b.nrrd")
    assert not (tmp_path / "b.nrrd").exists()
    write_label_map(read_volume(source), tmp_path / "b.nii")
    np.testing.assert_allclose(nib.load(tmp_path / "b.nii").affine, sheared)


@pytest.mark.slow
def test_the_command_writes_a_file_and_the_format_of_the_input(tmp_path: Path, hippocampus_dir: Path) -> None:
    scan = sitk.ReadImage(str(min((hippocampus_dir / "imagesTr").glob("hippocampus_*.nii.gz"))))
    (tmp_path / "in").mkdir()
    sitk.WriteImage(scan, str(tmp_path / "in" / "patient_0000.nrrd"))
    for words in (
        ["--input", "in/patient_0000.nrrd", "--output", "out.nii.gz"],
        ["--input", "in/patient_0000.nrrd", "--output", "out.nrrd"],
        ["--input", "in", "--output", "folder", "--output_format", "same"],
        ["--input", "in", "--output", "folder", "--output_format", "same"],  # nothing is left to predict
    ):
        command = [sys.executable, "-m", "mist_bundle", "predict", str(SHIPPED), *words, "--device", "cpu"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == EXIT_OK, done.stderr
    first = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert np.unique(sitk.GetArrayFromImage(first)).size > 1
    for name in ("out.nrrd", "folder/patient.nrrd"):
        other = sitk.ReadImage(str(tmp_path / name))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(other), sitk.GetArrayFromImage(first))
        assert other.GetSize() == scan.GetSize()
        assert other.GetDirection() == pytest.approx(scan.GetDirection(), abs=1e-5)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["nifti", "patient.nrrd"]


def _cases(folder: Path, *names: str) -> list[Case]:
    return [Case(id=name.split(".")[0], images={"t1": folder / name}) for name in names]


def test_the_same_format_as_the_input(tmp_path: Path) -> None:
    cases = _cases(tmp_path / "in", "a.nii", "b.nrrd", "c.mhd", "d.hdr", "e.nii.gz")
    place = OutputPlace.of(tmp_path / "out", "same", tmp_path, overwrite=False)
    names = [path.name for path in place.targets(cases).values()]
    assert names == ["a.nii", "b.nrrd", "c.mha", "d.nii.gz", "e.nii.gz"]
    for case in cases:
        _nifti(volume_path(place.folder, case.id), np.eye(4))
    written, problems = place.place(cases, {"b": "failed"})
    assert problems == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a.nii", "c.mha", "d.nii.gz", "e.nii.gz", "nifti",
    ]  # fmt: skip
    assert [path.name for path in written] == ["a.nii", "c.mha", "d.nii.gz", "e.nii.gz"]


@pytest.mark.parametrize(
    ("output", "output_format", "words"),
    [
        ("out.mhd", "nii.gz", "is written as .nii.gz, .nii, .nrrd, .mha"),
        ("out.png", "nii.gz", "is written as .nii.gz"),
        ("out.DCM", "dicom_seg", "or name a folder"),
        ("out.nrrd", "mha", "ends in .nrrd"),
        ("out.nrrd", "dicom_seg", "ends in .nrrd"),
        ("there.nrrd", "nii.gz", "--overwrite"),
    ],
)
def test_files_that_are_refused(output: str, output_format: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "there.nrrd").write_bytes(b"mine")
    with pytest.raises(InputError, match=words):
        OutputPlace.of(tmp_path / output, output_format, tmp_path, overwrite=False)
    assert (tmp_path / "there.nrrd").read_bytes() == b"mine"


def test_several_cases_images_and_files_of_others_are_in_the_way(tmp_path: Path) -> None:
    cases = _cases(tmp_path, "a.nrrd", "b.nrrd")
    with pytest.raises(InputError, match=r"has 2 cases\. Name a folder"):
        OutputPlace.of(tmp_path / "out.nrrd", "nii.gz", tmp_path, overwrite=False).check(cases, overwrite=False)
    with pytest.raises(InputError, match="would replace an image"):
        OutputPlace.of(tmp_path / "a.nrrd", "nii.gz", tmp_path, overwrite=False).check(cases[:1], overwrite=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mha").write_bytes(b"mine")
    place = OutputPlace.of(tmp_path / "out", "mha", tmp_path, overwrite=False)
    with pytest.raises(InputError, match=r"a\.mha: exists already and was not written by this command"):
        place.check(cases, overwrite=False)
    place.check(cases, overwrite=True)


def test_a_mirrored_label_map_is_reported(tmp_path: Path) -> None:
    label = np.zeros((12, 10, 8), np.uint8)
    label[2:4, 3:6, 2:5], label[8:10, 3:6, 2:5] = 1, 2  # x grows towards the right
    for name, array in {"as_named": label, "mirrored": label[::-1]}.items():
        nib.save(nib.Nifti1Image(array, np.eye(4)), volume_path(tmp_path, name))
    plan = small_plan(classes=("background", "lung_left", "lung_right"))
    (warning,) = contrary_sides(plan, tmp_path, ["as_named", "mirrored", "not_there"])
    assert warning.path == "mirrored"
    assert "shows lung_left on the patient's right of lung_right" in warning.message
    assert contrary_sides(small_plan(), tmp_path, ["mirrored"]) == []
