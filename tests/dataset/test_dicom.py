"""Series become the volumes they were written from; SimpleITK reads the same; odd series are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from mist_bundle.errors import InputError

pydicom = pytest.importorskip("pydicom")

from mist_bundle.dataset.dicom import find_series, is_dicom, series_volume  # noqa: E402
from tests.dataset.dicom_series import write_enhanced, write_series  # noqa: E402

OBLIQUE = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])


def _affine(
    directions: NDArray[np.float64], spacing: tuple[float, float, float] = (0.7, 0.9, 2.5)
) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = directions * [0.7, 0.9, 2.5]
    affine[:3, 3] = (-12.0, 30.5, 100.0)
    return affine


@pytest.fixture
def array() -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-1000, 2000, size=(7, 6, 5)).astype(np.int16)


AXES = {
    "axial": np.diag([-1.0, -1.0, 1.0]),
    "negated rows": np.diag([1.0, -1.0, 1.0]),
    "negated columns": np.diag([-1.0, 1.0, 1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "coronal": np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "oblique": OBLIQUE,
}


@pytest.mark.parametrize("name", AXES)
def test_every_voxel_keeps_its_place(tmp_path: Path, array: NDArray[np.int16], name: str) -> None:
    affine = _affine(AXES[name])
    write_series(tmp_path, array, affine, slope=1.0, intercept=-1024.0)
    (series,) = find_series(tmp_path)
    volume, found = series_volume(series)
    indices = np.indices(array.shape).reshape(3, -1)
    places = found @ np.vstack([indices, np.ones(indices.shape[1])])
    original = np.round(np.linalg.inv(affine) @ places)[:3].astype(int)
    assert np.array_equal(volume.ravel(), array[tuple(original)])


def test_as_simpleitk_reads_it(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    (series,) = find_series(tmp_path)
    volume, affine = series_volume(series)
    assert np.array_equal(volume, sitk.GetArrayFromImage(image).T)
    first = np.diag([-1.0, -1.0, 1.0]) @ affine[:3, 3]
    assert np.allclose(first, image.GetOrigin(), atol=1e-4)
    assert np.allclose(np.linalg.norm(affine[:3, :3], axis=0), image.GetSpacing(), atol=1e-4)


def test_two_series_of_a_tree_stay_apart(tmp_path: Path, array: NDArray[np.int16]) -> None:
    first = write_series(tmp_path / "a", array, _affine(OBLIQUE))
    second = write_series(tmp_path / "b", array, _affine(OBLIQUE))
    (tmp_path / "notes.txt").write_text("DICM")
    assert {series.uid for series in find_series(tmp_path)} == {first, second}


def _slices(folder: Path) -> list[Path]:
    """Files in the order of their slices."""
    return sorted(folder.glob("*.dcm"), key=lambda path: int(pydicom.dcmread(path).InstanceNumber))


def _change(path: Path, **values: object) -> None:
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def _refusal(folder: Path) -> str:
    (series,) = find_series(folder)
    with pytest.raises(InputError) as refusal:
        series_volume(series)
    return str(refusal.value)


def test_a_missing_slice(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    _slices(tmp_path)[2].unlink()
    assert "5.000 mm apart, the others 2.500 mm: 1 missing" in _refusal(tmp_path)


def test_a_doubled_slice(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    second = _slices(tmp_path)[1]
    copy = pydicom.dcmread(second)
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    copy.save_as(tmp_path / "again.dcm")
    assert "lie at the same place" in _refusal(tmp_path)


def test_a_tilted_gantry(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(AXES["axial"]))
    for index, path in enumerate(_slices(tmp_path)):
        position = pydicom.dcmread(path).ImagePositionPatient
        _change(path, ImagePositionPatient=[position[0], float(position[1]) + 0.4 * index, position[2]])
    assert "gantry tilt of 9.1 degrees" in _refusal(tmp_path)


def test_all_that_does_not_belong_is_named(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(AXES["axial"]))
    files = _slices(tmp_path)
    _change(files[1], PixelSpacing=[2.0, 2.0])
    _change(files[3], ImageOrientationPatient=[0, 1, 0, 0, 0, 1])
    message = _refusal(tmp_path)
    assert f"{files[1].name} has another pixel spacing" in message
    assert f"{files[3].name} lies in another plane" in message


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"nothing")
    assert not is_dicom(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="no DICOM image series"):
        find_series(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    path = _slices(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-20])
    (series,) = find_series(tmp_path)
    with pytest.raises(InputError, match=path.name):
        series_volume(series)


def test_an_enhanced_file_of_several_frames(tmp_path: Path, array: NDArray[np.int16]) -> None:
    affine = _affine(OBLIQUE)
    write_series(tmp_path / "plain", array, affine)
    write_enhanced(tmp_path / "enhanced", array, affine)
    expected = series_volume(find_series(tmp_path / "plain")[0])
    volume, found = series_volume(find_series(tmp_path / "enhanced")[0])
    assert np.array_equal(volume, expected[0])
    assert np.allclose(found, expected[1])
