"""A tree of studies becomes a folder of images and a table."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from mist_bundle.errors import CaseFailure, InputError

pydicom = pytest.importorskip("pydicom")

from mist_bundle.dataset.dicom_layout import TABLE, convert_dicom, holds_dicom, named_series  # noqa: E402
from mist_bundle.dataset.names import id_problem, long_id_problem  # noqa: E402
from tests.dataset.dicom_series import write_series  # noqa: E402


@pytest.fixture
def array() -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-1000, 2000, size=(7, 6, 5)).astype(np.int16)


@pytest.fixture
def studies(tmp_path: Path, array: NDArray[np.int16]) -> Path:
    affine = np.diag([-1.0, -2.0, 3.0, 1.0])
    write_series(tmp_path / "studies" / "patient 1" / "thorax", array, affine)
    write_series(tmp_path / "studies" / "patient 2" / "thorax", array + 1, affine)
    return tmp_path / "studies"


def test_an_image_a_series(studies: Path, array: NDArray[np.int16], tmp_path: Path) -> None:
    converted = convert_dicom(studies, tmp_path / "out")
    assert not converted.warnings
    assert not converted.problems
    with converted.series_csv.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["patient_1_thorax", "patient_2_thorax"]
    assert [row["modality"] for row in rows] == ["CT", "CT"]
    for row in rows:
        image = nib.load(tmp_path / "out" / row["image"])
        added = 1 if "patient 2" in row["folder"] else 0
        assert np.array_equal(np.asarray(image.dataobj), array + added)
        assert np.allclose(nib.affines.voxel_sizes(image.affine), [1, 2, 3])


def test_a_bad_series_is_named_and_the_others_are_written(studies: Path, tmp_path: Path) -> None:
    for path in (studies / "patient 1" / "thorax").glob("*.dcm"):
        if pydicom.dcmread(path).InstanceNumber == 3:
            path.unlink()
    would_be = convert_dicom(studies, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    converted = convert_dicom(studies, tmp_path / "out")
    assert converted.problems == would_be.problems
    (problem,) = converted.problems
    assert problem.path == "patient_1_thorax"
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 1
    assert (tmp_path / "out" / TABLE).is_file()
    (warning,) = convert_dicom(studies, tmp_path / "even", resample=True).warnings
    assert warning.path == "patient_1_thorax"
    assert warning.message.startswith("was resampled to even slices: ")
    assert warning.message.endswith(": 1 missing.")
    assert nib.load(tmp_path / "even" / "patient_1_thorax.nii.gz").shape == (7, 6, 5)


def _changed(folder: Path, **values: object) -> None:
    for path in sorted(folder.glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        for name, value in values.items():
            setattr(dataset, name, value)
        dataset.save_as(path)


def test_a_folder_whose_name_is_no_text_is_named(studies: Path, tmp_path: Path) -> None:
    """The table could not hold its name."""
    try:
        (studies / "patient 1").rename(studies / os.fsdecode(b"patient\xff"))
    except OSError:
        pytest.skip("a file system whose names are text")
    converted = convert_dicom(studies, tmp_path / "out")
    (problem,) = converted.problems
    assert "has a name that is not UTF-8" in str(problem)
    assert str(problem).isprintable()
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 1


def test_many_problems_of_a_series_are_those_of_one_case(studies: Path, tmp_path: Path) -> None:
    _changed(studies / "patient 1" / "thorax", PixelSpacing=[0, 0])
    converted = convert_dicom(studies, tmp_path / "out")
    assert len(converted.problems) > 1
    with pytest.raises(CaseFailure, match=r"^1 of 2 cases failed"):
        converted.raise_failures()


def test_remarks_of_pydicom_and_line_breaks_of_descriptions_stay_out(
    studies: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    _changed(studies / "patient 1" / "thorax", SpecificCharacterSet="NONSENSE", SeriesDescription="a\nb")
    recwarn.clear()
    converted = convert_dicom(studies, tmp_path / "out")
    assert [warning for warning in recwarn if "encoding" in str(warning.message)] == []
    assert all(text.isprintable() for _, text in converted.table)


def test_a_single_slice_is_told(studies: Path, tmp_path: Path) -> None:
    for path in sorted((studies / "patient 1" / "thorax").glob("*.dcm"))[1:]:
        path.unlink()
    (warning,) = convert_dicom(studies, tmp_path / "out").warnings
    assert str(warning).startswith("patient_1_thorax: is a single slice")


def test_an_encoding_that_is_none_is_named(studies: Path, tmp_path: Path) -> None:
    for path in (studies / "patient 1" / "thorax").glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = "1.2.3.4.5"
        dataset.save_as(path, implicit_vr=False, little_endian=True)
    (problem,) = convert_dicom(studies, tmp_path / "out").problems
    assert "its pixels are stored as 1.2.3.4.5, which only its maker can read" in str(problem)


def test_where_there_are_none(tmp_path: Path) -> None:
    assert not holds_dicom(tmp_path)
    with pytest.raises(InputError, match="no DICOM image series"):
        convert_dicom(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="is not a folder"):
        convert_dicom(tmp_path / "none", tmp_path / "out")


def test_nothing_is_replaced_unasked(studies: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    for dry_run in (True, False):
        with pytest.raises(InputError, match="exists"):
            convert_dicom(studies, tmp_path / "out", dry_run=dry_run)
    with pytest.raises(InputError, match=r"holds no series\.csv"):
        convert_dicom(studies, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "notes.txt").exists()
    (tmp_path / "out" / TABLE).touch()
    convert_dicom(studies, tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "notes.txt").exists()
    with pytest.raises(InputError, match="which is read"):
        convert_dicom(studies, studies, overwrite=True)


def test_a_tree_without_a_regular_series_is_refused(studies: Path, tmp_path: Path) -> None:
    for path in studies.rglob("*.dcm"):
        if pydicom.dcmread(path).InstanceNumber == 3:
            path.unlink()
    for dry_run in (True, False):
        with pytest.raises(InputError, match="patient_2_thorax"):
            convert_dicom(studies, tmp_path / "out", dry_run=dry_run)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("folders", "ids"),
    [
        (["PAT001/Thorax", "pat002/thorax"], ["PAT001_Thorax", "pat002_thorax"]),
        (["患者", "Müller (2)"], ["Müller_2", "患者"]),
        (["...", "$cost", "mean"], ["case", "cost", "mean_2"]),
        (["A/x", "a/x"], ["A_x", "a_x_2"]),
        (["1.2.840.113619.2/1.2.3"], ["1.2.840.113619.2_1.2.3"]),
    ],
)
def test_ids_are_the_names_of_folders(
    tmp_path: Path, array: NDArray[np.int16], folders: list[str], ids: list[str]
) -> None:
    for folder in folders:
        write_series(tmp_path / "studies" / folder, array[..., :2], np.diag([-1.0, -2.0, 3.0, 1.0]))
    named = named_series(tmp_path / "studies")
    assert sorted(entry.id for entry in named) == sorted(ids)
    convert_dicom(tmp_path / "studies", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*.nii.gz")} == {f"{name}.nii.gz" for name in ids}


def test_ids_of_deep_folders_are_short_and_differ(tmp_path: Path, array: NDArray[np.int16]) -> None:
    for last in "ab":
        deep = (
            tmp_path / ("1.2.840." + "3" * 56) / ("1.2.840." + "4" * 56) / ("1.2.840." + "5" * 56) / ("6" * 63 + last)
        )
        write_series(deep, array[..., :2], np.diag([-1.0, -2.0, 3.0, 1.0]))
    named = named_series(tmp_path)
    assert len({entry.id for entry in named}) == 2
    for entry in named:
        assert not id_problem(entry.id)
        assert not long_id_problem(entry.id)
