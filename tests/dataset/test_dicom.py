"""Series become the volumes they were written from; SimpleITK reads the same; odd series are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from mist_bundle.errors import InputError

pydicom = pytest.importorskip("pydicom")

from mist_bundle.dataset.dicom import series_volume  # noqa: E402
from mist_bundle.dataset.dicom_search import find_series  # noqa: E402
from tests.dataset.dicom_series import slices_of, write_enhanced, write_series  # noqa: E402

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
    slices_of(tmp_path)[2].unlink()
    assert "5.000 mm apart, the others 2.500 mm: 1 missing" in _refusal(tmp_path)


def test_a_doubled_slice(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    second = slices_of(tmp_path)[1]
    copy = pydicom.dcmread(second)
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    copy.save_as(tmp_path / "again.dcm")
    assert "lie at the same place" in _refusal(tmp_path)


def test_a_series_of_several_volumes(tmp_path: Path, array: NDArray[np.int16]) -> None:
    uid = write_series(tmp_path / "first", array, _affine(OBLIQUE))
    write_series(tmp_path / "second", array, _affine(OBLIQUE), uid=uid)
    assert "holds 2 images at each of 5 places (times, echoes, b-values, or copies)" in _refusal(tmp_path)


def test_a_tilted_gantry(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(AXES["axial"]))
    for index, path in enumerate(slices_of(tmp_path)):
        position = pydicom.dcmread(path).ImagePositionPatient
        _change(path, ImagePositionPatient=[position[0], float(position[1]) + 0.4 * index, position[2]])
    assert "gantry tilt of 9.1 degrees" in _refusal(tmp_path)


def _write_heights(folder: Path, heights_mm: NDArray[np.float64]) -> None:
    write_series(folder, np.zeros((4, 4, len(heights_mm)), np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    for path, height in zip(slices_of(folder), heights_mm, strict=True):
        _change(path, ImagePositionPatient=[0, 0, round(float(height), 4)])


def test_positions_that_a_scanner_rounded_are_even(tmp_path: Path) -> None:
    heights = np.arange(24) * 0.625
    _write_heights(tmp_path, np.round(heights, 2))
    (series,) = find_series(tmp_path)
    _, affine = series_volume(series)
    assert affine[2, 2] == pytest.approx(0.625, abs=1e-3)


@pytest.mark.parametrize("growth", [1.02, 1.3])
def test_slices_that_draw_apart(tmp_path: Path, growth: float) -> None:
    _write_heights(tmp_path, np.cumsum(2.0 * growth ** np.arange(12)))
    assert "unevenly spaced" in _refusal(tmp_path)


def test_all_that_does_not_belong_is_named(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(AXES["axial"]))
    files = slices_of(tmp_path)
    _change(files[1], PixelSpacing=[2.0, 2.0])
    _change(files[3], ImageOrientationPatient=[0, 1, 0, 0, 0, 1])
    message = _refusal(tmp_path)
    assert f"{files[1].name} has another pixel spacing" in message
    assert f"{files[3].name} lies in another plane" in message


def test_a_damaged_file_is_named(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    path = slices_of(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-20])
    message = _refusal(tmp_path)
    assert path.name in message
    assert "is damaged or incomplete" in message
    assert "pip install" not in message


def test_a_slice_without_a_position(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    last = slices_of(tmp_path)[-1]
    dataset = pydicom.dcmread(last)
    del dataset.ImagePositionPatient
    dataset.save_as(last)
    assert f"{last.name}: has no ImagePositionPatient" in _refusal(tmp_path)


@pytest.mark.parametrize(
    ("values", "finding"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "is not a pair of perpendicular directions"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "is not a pair of perpendicular directions"),
        ({"PixelSpacing": [0, 1]}, "has pixels of 0 x 1 mm"),
        ({"SamplesPerPixel": 3}, "is a colour image"),
        ({"RescaleSlope": 0}, "has a RescaleSlope of 0"),
        ({"RescaleIntercept": None}, "has no RescaleSlope and RescaleIntercept"),
        ({"Rows": None}, "has 0 x 7 pixels"),
        ({"SeriesInstanceUID": None}, "has no SeriesInstanceUID"),
    ],
)
def test_a_slice_that_means_nothing(
    tmp_path: Path, array: NDArray[np.int16], values: dict[str, object], finding: str
) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    path = slices_of(tmp_path)[1]
    _change(path, **values)
    message = _refusal(tmp_path)
    assert path.name in message
    assert finding in message


def test_a_single_slice_is_as_thick_as_it_says(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array[..., :1], _affine(OBLIQUE))
    (series,) = find_series(tmp_path)
    _, affine = series_volume(series)
    assert np.allclose(np.linalg.norm(affine[:3, :3], axis=0), [0.7, 0.9, 2.5])


def test_run_length_encoding_is_decoded(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_series(tmp_path, array, _affine(OBLIQUE))
    (before,) = find_series(tmp_path)
    expected, _ = series_volume(before)
    for path in slices_of(tmp_path):
        dataset = pydicom.dcmread(path)
        dataset.compress(pydicom.uid.RLELossless)
        dataset.save_as(path)
    (series,) = find_series(tmp_path)
    assert np.array_equal(series_volume(series)[0], expected)


@pytest.mark.parametrize(
    ("syntax", "package"),
    [
        (pydicom.uid.JPEGBaseline8Bit, "pylibjpeg-libjpeg"),
        (pydicom.uid.JPEGLosslessSV1, "pylibjpeg-libjpeg"),
        (pydicom.uid.JPEG2000Lossless, "pylibjpeg-openjpeg"),
        (pydicom.uid.HTJ2KLossless, "pylibjpeg-openjpeg"),
        (pydicom.uid.JPEGLSLossless, "pyjpegls"),
    ],
    ids=lambda value: getattr(value, "keyword", value),
)
def test_a_compression_without_a_decoder_names_the_package(
    tmp_path: Path, array: NDArray[np.int16], syntax: pydicom.uid.UID, package: str
) -> None:
    if pydicom.pixels.get_decoder(syntax).is_available:
        pytest.skip(f"a decoder of {syntax.name} is installed")
    write_series(tmp_path, array, _affine(OBLIQUE))
    path = slices_of(tmp_path)[0]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8" + b"\0" * 40])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    message = _refusal(tmp_path)
    assert f"compressed as {syntax.name}" in message
    assert package in message


def test_an_enhanced_file_of_several_frames(tmp_path: Path, array: NDArray[np.int16]) -> None:
    affine = _affine(OBLIQUE)
    write_series(tmp_path / "plain", array, affine)
    write_enhanced(tmp_path / "enhanced", array, affine)
    expected = series_volume(find_series(tmp_path / "plain")[0])
    volume, found = series_volume(find_series(tmp_path / "enhanced")[0])
    assert np.array_equal(volume, expected[0])
    assert np.allclose(found, expected[1])


def test_each_frame_of_an_enhanced_file_has_its_own_scale(tmp_path: Path, array: NDArray[np.int16]) -> None:
    write_enhanced(tmp_path, array, _affine(OBLIQUE))
    path = tmp_path / "all.dcm"
    before, _ = series_volume(find_series(tmp_path)[0])
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    del shared.PixelValueTransformationSequence
    heights = []
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        rescale = pydicom.Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept = 1 + number, -1024
        group.PixelValueTransformationSequence = [rescale]
        heights.append(np.dot(group.PlanePositionSequence[0].ImagePositionPatient, [0.48, 0.64, 0.6]))
    dataset.save_as(path)
    volume, _ = series_volume(find_series(tmp_path)[0])
    slopes = 1 + np.argsort(heights)
    if not np.allclose(volume, (before + 1024) * slopes - 1024):
        slopes = slopes[::-1]  # the normal of the slices points the other way
    assert np.allclose(volume, (before + 1024) * slopes - 1024)
