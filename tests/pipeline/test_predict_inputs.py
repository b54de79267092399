"""Cases of tables and studies; the folder of a series stands for its image."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import InputError
from mist_bundle.pipeline.predict_inputs import find_inputs

pytest.importorskip("pydicom")

CHANNELS = ("t1", "t2")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases with a series for t1 and for t2."""
    return make_phantom(tmp_path_factory.mktemp("mr2") / "p", num_cases=2, shape=(12, 11, 10), dicom=True)


def _table(path: Path, *rows: tuple[object, ...]) -> Path:
    lines = [",".join(map(str, row)) for row in (("id", *CHANNELS), *rows)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_series_for_each_channel(studies: Path, tmp_path: Path) -> None:
    rows = [(case.name, case / "t1", case / "t2") for case in sorted(studies.iterdir())]
    inputs = find_inputs(_table(tmp_path / "t.csv", *rows), CHANNELS, tmp_path / "scratch")
    assert inputs.names == ["mr2_001", "mr2_002"]
    assert not inputs.cases.problems
    for case in inputs.cases.cases:
        images = [np.asarray(nib.load(case.images[channel]).dataobj) for channel in CHANNELS]
        assert images[0].shape == images[1].shape
        assert not np.array_equal(*images)
        assert inputs.series[case.id].folder == studies / case.id / "t1"
    inputs.require_series("--output_format dicom_seg")


def test_what_is_wrong_with_a_series_is_a_problem_of_its_case(studies: Path, tmp_path: Path) -> None:
    first, second = sorted(studies.iterdir())
    (tmp_path / "nothing").mkdir()
    table = _table(
        tmp_path / "t.csv",
        ("both", first, second / "t2"),
        ("none", tmp_path / "nothing", second / "t2"),
        ("good", second / "t1", second / "t2"),
        ("gone", tmp_path / "gone", second / "t2"),
    )
    inputs = find_inputs(table, CHANNELS, tmp_path / "scratch")
    assert inputs.names == ["good"]
    messages = {problem.path.split(":")[0]: problem.message for problem in inputs.cases.problems}
    assert "holds 2 series" in messages["both"]
    assert "holds no DICOM image series" in messages["none"]
    assert "does not exist" in messages["gone"]


def test_images_and_series_side_by_side(studies: Path, tmp_path: Path) -> None:
    case = sorted(studies.iterdir())[0]
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), tmp_path / "t2.nii.gz")
    table = _table(tmp_path / "t.csv", ("a", case / "t1", tmp_path / "t2.nii.gz"))
    inputs = find_inputs(table, CHANNELS, tmp_path / "scratch")
    (found,) = inputs.cases.cases
    assert found.images["t2"] == tmp_path / "t2.nii.gz"
    assert found.images["t1"] == tmp_path / "scratch" / "a" / "t1.nii.gz"


def test_studies_for_a_model_of_several_channels(studies: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"takes 2 channels \(t1, t2\)\. Give a CSV table with the columns id,t1,t2"):
        find_inputs(studies, CHANNELS, tmp_path)


def test_cases_without_a_series_are_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), tmp_path / f"{name}.nii.gz")
    inputs = find_inputs(tmp_path, ("t1",), tmp_path / "scratch")
    with pytest.raises(InputError) as refusal:
        inputs.require_series("--output_format dicom_seg")
    assert [problem.path for problem in refusal.value.problems] == ["--output_format dicom_seg"] * 2
    assert "a.nii.gz" in str(refusal.value)
