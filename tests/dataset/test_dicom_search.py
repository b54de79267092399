"""Series are found in folders as hospitals export them, and no slice is left out unsaid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mist_bundle.errors import InputError

pydicom = pytest.importorskip("pydicom")

from mist_bundle.dataset.dicom import series_volume  # noqa: E402
from mist_bundle.dataset.dicom_search import find_series, is_dicom  # noqa: E402
from tests.dataset.dicom_series import slices_of, write_series  # noqa: E402

AFFINE = np.array(
    [[0.56, -0.324, 1.2, -12.0], [0.42, 0.432, -1.6, 30.5], [0.0, 0.72, 1.5, 100.0], [0.0, 0.0, 0.0, 1.0]]
)


@pytest.fixture
def array() -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-1000, 2000, size=(7, 6, 5)).astype(np.int16)


def _refusal(folder: Path) -> str:
    (series,) = find_series(folder)
    with pytest.raises(InputError) as refusal:
        series_volume(series)
    return str(refusal.value)


def test_two_series_of_a_tree_stay_apart(tmp_path: Path, array: NDArray[np.int16]) -> None:
    first = write_series(tmp_path / "a", array, AFFINE)
    second = write_series(tmp_path / "b", array, AFFINE)
    (tmp_path / "notes.txt").write_text("DICM")
    assert {series.uid for series in find_series(tmp_path)} == {first, second}


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"nothing")
    assert not is_dicom(tmp_path / "a.txt")
    with pytest.raises(InputError, match="no DICOM image series"):
        find_series(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "a.dcm")
    with pytest.raises(InputError, match=r"a\.dcm: is not a DICOM file \(7 bytes\)"):
        find_series(tmp_path)


def test_a_file_that_is_no_dicom_inside_spoils_only_its_folder(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path / "bad", array, AFFINE)
    good = write_series(tmp_path / "good", array, AFFINE)
    last = slices_of(tmp_path / "bad")[-1]  # without it the others are a regular volume
    last.write_bytes(b"\0" * 128 + b"DICM" + b"\x02\0\0\0garbage")
    for series in find_series(tmp_path):
        if series.uid == good:
            assert series_volume(series)[0].shape == array.shape
        else:
            with pytest.raises(InputError, match=f"{last.name}: cannot be read as DICOM"):
                series_volume(series)


@pytest.mark.parametrize("length", [0, 10, 131, 140, 300, 420, 600, 800, 1000, -1])
def test_a_file_that_was_cut_short_is_never_left_out(tmp_path: Path, array: NDArray[np.int16], length: int) -> None:
    write_series(tmp_path, array, AFFINE)
    last = slices_of(tmp_path)[-1]  # without it the others are a regular volume
    last.write_bytes(last.read_bytes()[:length])
    assert last.name in _refusal(tmp_path)


@pytest.mark.parametrize(
    "values",
    [
        {"Modality": "SEG"},
        {"Modality": "RTDOSE"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ImagePositionPatient": None},
        {"Modality": "DX", "ImagePositionPatient": None},
    ],
    ids=["segmentation", "dose", "localizer", "screenshot", "radiograph"],
)
def test_what_else_a_study_holds_is_passed_over(
    tmp_path: Path, array: NDArray[np.int16], values: dict[str, object]
) -> None:
    uid = write_series(tmp_path / "ct", array, AFFINE)
    write_series(tmp_path / "other", array[..., :1], AFFINE)
    (other,) = (tmp_path / "other").iterdir()
    dataset = pydicom.dcmread(other)
    for name, value in values.items():
        setattr(dataset, name, value)
        if value is None:
            delattr(dataset, name)
    dataset.save_as(other)
    assert [series.uid for series in find_series(tmp_path)] == [uid]


@pytest.mark.parametrize("implicit", [True, False])
def test_files_of_old_archives_have_no_preamble(tmp_path: Path, array: NDArray[np.int16], implicit: bool) -> None:
    write_series(tmp_path, array, AFFINE)
    (before,) = find_series(tmp_path)
    expected, affine = series_volume(before)
    for path in slices_of(tmp_path):
        bare = pydicom.Dataset({element.tag: element for element in pydicom.dcmread(path)})
        bare.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
    (series,) = find_series(tmp_path)
    volume, found = series_volume(series)
    assert np.array_equal(volume, expected)
    assert np.allclose(found, affine)
