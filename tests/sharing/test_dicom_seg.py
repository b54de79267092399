"""DICOM segmentations hold the label map, voxel for voxel: as highdicom, plain arithmetic and dcmqi read them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from mist_bundle.errors import InputError

hd = pytest.importorskip("highdicom")
pydicom = pytest.importorskip("pydicom")

from mist_bundle.dataset.dicom import Series, series_volume  # noqa: E402
from mist_bundle.dataset.dicom_search import find_series  # noqa: E402
from mist_bundle.sharing.dicom_seg import Algorithm, Segment, segmentation_uid, write_dicom_seg  # noqa: E402
from mist_bundle.sharing.segment_codes import code_of_name  # noqa: E402
from tests.dataset.dicom_series import write_enhanced, write_series  # noqa: E402

SHAPE = (7, 6, 5)
ALGORITHM = Algorithm("organs_segmentation", "c0ffee", "1.2.3", "0.2.0")
AXES = {
    "axial": np.diag([-1.0, -1.0, 1.0]),
    "descending slices": np.diag([-1.0, -1.0, -1.0]),
    "negated rows": np.diag([1.0, -1.0, 1.0]),
    "negated columns": np.diag([-1.0, 1.0, 1.0]),
    "both negated": np.diag([1.0, 1.0, 1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "coronal": np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "oblique": np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]]),
}


def segment(name: str, *labels: int) -> Segment:
    return Segment(name, labels, code_of_name(name), (200, 30, 40))


APART = (segment("liver", 1), segment("kidney_left", 2, 5))
NESTED = (segment("liver", 1, 5), segment("liver tumour", 5), segment("spleen", 2))


def _affine(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    affine = np.eye(4)
    affine[:3, :3] = directions * [0.7, 0.9, 2.5]
    affine[:3, 3] = (-12.0, 30.5, 100.0)
    return affine


def _labels() -> NDArray[np.uint8]:
    labels = np.random.default_rng(2).choice([0, 0, 0, 1, 2, 5], size=SHAPE).astype(np.uint8)
    labels[..., 3] = 0  # a slice without a segment
    return labels


def _written(
    folder: Path, directions: NDArray[np.float64], segments: tuple[Segment, ...]
) -> tuple[Series, nib.Nifti1Image, Path]:
    """A series, the label map of its volume, and the file of the segmentation."""
    write_series(folder / "series", np.zeros(SHAPE, np.int16), _affine(directions))
    (series,) = find_series(folder / "series")
    _, affine = series_volume(series)
    label_map = nib.Nifti1Image(_labels(), affine)
    nib.save(label_map, folder / "labels.nii.gz")
    write_dicom_seg(series, folder / "labels.nii.gz", segments, ALGORITHM, folder / "seg.dcm")
    return series, label_map, folder / "seg.dcm"


def _at(label_map: nib.Nifti1Image, places_lps: NDArray[np.float64]) -> NDArray[Any]:
    """Labels at places in the patient, (N, 3) in LPS millimetres; each has to be the centre of a voxel."""
    ras = np.column_stack([places_lps * [-1, -1, 1], np.ones(len(places_lps))])
    indices = (np.linalg.inv(label_map.affine) @ ras.T)[:3]
    assert np.allclose(indices, np.round(indices), atol=1e-3)
    return np.asarray(label_map.dataobj)[tuple(np.round(indices).astype(int))]


def _places(position: Any, orientation: Any, spacing: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Centres of the pixels of a plane, row by row, by equation C.7.6.2.1-1 of PS3.3."""
    along_row, along_column = np.reshape(np.asarray(orientation, float), (2, 3))
    rows, columns = np.indices(shape).reshape(2, -1)
    steps = np.outer(columns * float(spacing[1]), along_row) + np.outer(rows * float(spacing[0]), along_column)
    return np.asarray(position, float) + steps


@pytest.mark.parametrize("segments", [APART, NESTED], ids=["apart", "nested"])
@pytest.mark.parametrize("name", AXES)
def test_each_pixel_of_each_source_slice(tmp_path: Path, name: str, segments: tuple[Segment, ...]) -> None:
    series, label_map, path = _written(tmp_path, AXES[name], segments)
    read = hd.seg.segread(path)
    for source in map(pydicom.dcmread, series.files):
        pixels = read.get_pixels_by_source_instance([source.SOPInstanceUID], assert_missing_frames_are_empty=True)
        shape = (source.Rows, source.Columns)
        places = _places(source.ImagePositionPatient, source.ImageOrientationPatient, source.PixelSpacing, shape)
        expected = _at(label_map, places).reshape(shape)
        for number, one in enumerate(segments):
            assert np.array_equal(pixels[0, ..., number] > 0, np.isin(expected, one.labels))


@pytest.mark.parametrize("name", AXES)
def test_each_frame_by_its_own_geometry(tmp_path: Path, name: str) -> None:
    _, label_map, path = _written(tmp_path, AXES[name], NESTED)
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    shape = (dataset.Rows, dataset.Columns)
    seen = np.zeros(len(NESTED), int)
    for group, pixels in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1
        places = _places(group.PlanePositionSequence[0].ImagePositionPatient, orientation, spacing, shape)
        expected = np.isin(_at(label_map, places), NESTED[number].labels)
        assert np.array_equal(pixels.ravel() > 0, expected)
        seen[number] += np.count_nonzero(pixels)
    array = np.asarray(label_map.dataobj)
    assert seen.tolist() == [np.count_nonzero(np.isin(array, one.labels)) for one in NESTED]


@pytest.mark.skipif(shutil.which("segimage2itkimage") is None, reason="needs dcmqi (pip install dcmqi)")
@pytest.mark.parametrize("name", AXES)
def test_as_dcmqi_reads_it(tmp_path: Path, name: str) -> None:
    _, label_map, path = _written(tmp_path, AXES[name], APART)
    words = ("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", tmp_path, "-t", "nii", "--mergeSegments")
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
    image = nib.load(tmp_path / "1.nii.gz")
    found = np.asarray(image.dataobj)
    places = (image.affine @ np.vstack([np.indices(found.shape).reshape(3, -1), np.ones(found.size)]))[:3].T
    expected = _at(label_map, places * [-1, -1, 1]).reshape(found.shape)
    whole = np.asarray(label_map.dataobj)
    for number, one in enumerate(APART, start=1):
        assert np.array_equal(found == number, np.isin(expected, one.labels))
        assert np.count_nonzero(found == number) == np.count_nonzero(np.isin(whole, one.labels))  # it cuts out a box
    described = json.loads((tmp_path / "meta.json").read_text())["segmentAttributes"][0]
    assert [entry["SegmentLabel"] for entry in described] == ["liver", "kidney_left"]
    assert described[1]["SegmentedPropertyTypeModifierCodeSequence"]["CodeMeaning"] == "Left"
    assert described[0]["recommendedDisplayRGBValue"] == pytest.approx([200, 30, 40], abs=2)


def test_what_the_object_says(tmp_path: Path) -> None:
    series, _, path = _written(tmp_path, AXES["oblique"], APART)
    read, source = hd.seg.segread(path), pydicom.dcmread(series.files[0])
    for name in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert read[name].value == source[name].value
    assert read.SeriesInstanceUID != source.SeriesInstanceUID
    (referenced,) = read.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == series.uid
    instances = {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence}
    assert instances == {str(pydicom.dcmread(file).SOPInstanceUID) for file in series.files}
    assert read.segmentation_type == hd.seg.SegmentationTypeValues.BINARY
    assert read.SegmentsOverlap == "NO"
    assert read.SeriesDescription == "Segmentation: organs_segmentation"
    liver, kidney = (read.get_segment_description(number) for number in (1, 2))
    assert liver.segmented_property_type.meaning == "Liver"
    assert liver.segmented_property_category.meaning == "Anatomical Structure"
    modifier = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (kidney.segmented_property_type.meaning, modifier.CodeMeaning) == ("Kidney", "Left")
    (algorithm,) = liver.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("organs_segmentation", "1.2.3")
    assert "c0ffee" in algorithm.AlgorithmParameters


def test_overlapping_classes_are_said_to_overlap(tmp_path: Path) -> None:
    _, _, path = _written(tmp_path, AXES["axial"], NESTED)
    assert hd.seg.segread(path).SegmentsOverlap == "YES"


def test_a_label_map_in_another_storage_order(tmp_path: Path) -> None:
    series, label_map, path = _written(tmp_path, AXES["oblique"], APART)
    nib.save(nib.as_closest_canonical(label_map), tmp_path / "turned.nii.gz")
    write_dicom_seg(series, tmp_path / "turned.nii.gz", APART, ALGORITHM, tmp_path / "turned.dcm")
    assert pydicom.dcmread(tmp_path / "turned.dcm").PixelData == pydicom.dcmread(path).PixelData


def test_a_multi_frame_file_as_the_source(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "enhanced", np.zeros(SHAPE, np.int16), _affine(AXES["oblique"]))
    (series,) = find_series(tmp_path / "enhanced")
    _, affine = series_volume(series)
    label_map = nib.Nifti1Image(_labels(), affine)
    nib.save(label_map, tmp_path / "labels.nii.gz")
    write_dicom_seg(series, tmp_path / "labels.nii.gz", NESTED, ALGORITHM, tmp_path / "seg.dcm")
    read, source = hd.seg.segread(tmp_path / "seg.dcm"), pydicom.dcmread(series.files[0])
    shared = source.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    shape = (source.Rows, source.Columns)
    for frame, group in enumerate(source.PerFrameFunctionalGroupsSequence, start=1):
        places = _places(group.PlanePositionSequence[0].ImagePositionPatient, orientation, spacing, shape)
        expected = _at(label_map, places).reshape(shape)
        pixels = read.get_pixels_by_source_frame(source.SOPInstanceUID, [frame], assert_missing_frames_are_empty=True)
        for number, one in enumerate(NESTED):
            assert np.array_equal(pixels[0, ..., number] > 0, np.isin(expected, one.labels))


def test_classes_without_a_voxel_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    series, label_map, _ = _written(tmp_path, AXES["axial"], APART)
    nothing = nib.Nifti1Image(np.zeros(SHAPE, np.uint8), label_map.affine)
    nib.save(nothing, tmp_path / "nothing.nii.gz")
    remarks = write_dicom_seg(series, tmp_path / "nothing.nii.gz", APART, ALGORITHM, tmp_path / "nothing.dcm")
    assert [remark.split(";")[0] for remark in remarks] == ["has no voxel of liver", "has no voxel of kidney_left"]
    read = hd.seg.segread(tmp_path / "nothing.dcm")
    assert list(read.segment_numbers) == [1, 2]
    assert not read.pixel_array.any()
    assert not caplog.records


def test_the_same_again_is_the_same_object(tmp_path: Path) -> None:
    series, _, path = _written(tmp_path, AXES["axial"], APART)
    label_map = tmp_path / "labels.nii.gz"
    uid = segmentation_uid(series, label_map, APART, ALGORITHM)
    assert str(pydicom.dcmread(path).SOPInstanceUID) == uid
    assert segmentation_uid(series, label_map, NESTED, ALGORITHM) != uid
    assert segmentation_uid(series, label_map, APART, replace(ALGORITHM, version="1.2.4")) != uid


def test_a_label_map_of_another_image_is_refused(tmp_path: Path) -> None:
    series, label_map, _ = _written(tmp_path, AXES["axial"], APART)
    moved = label_map.affine.copy()
    moved[0, 3] += 0.3
    nib.save(nib.Nifti1Image(_labels(), moved), tmp_path / "moved.nii.gz")
    with pytest.raises(InputError, match="does not lie on the grid of the DICOM series"):
        write_dicom_seg(series, tmp_path / "moved.nii.gz", APART, ALGORITHM, tmp_path / "moved.dcm")
    assert not (tmp_path / "moved.dcm").exists()


def _change_all(series: Series, change: Callable[[Any], None]) -> None:
    for file in series.files:
        dataset = pydicom.dcmread(file)
        change(dataset)
        dataset.save_as(file)


@pytest.mark.parametrize(
    "keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"]
)
def test_a_series_that_cannot_be_referred_to(tmp_path: Path, keyword: str) -> None:
    series, _, path = _written(tmp_path, AXES["axial"], APART)
    _change_all(series, lambda dataset: delattr(dataset, keyword))
    path.unlink()
    with pytest.raises(InputError, match=f"has no {keyword}, which its segmentation has to refer to"):
        write_dicom_seg(series, tmp_path / "labels.nii.gz", APART, ALGORITHM, path)
    assert not path.exists()


def test_a_series_whose_patient_was_removed(tmp_path: Path) -> None:
    series, _, path = _written(tmp_path, AXES["axial"], APART)
    before = pydicom.dcmread(path).PixelData

    def remove(dataset: Any) -> None:
        for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
            delattr(dataset, name)
        for name in ("AccessionNumber", "ReferringPhysicianName", "SliceThickness", "SeriesNumber", "InstanceNumber"):
            delattr(dataset, name)

    _change_all(series, remove)
    write_dicom_seg(series, tmp_path / "labels.nii.gz", APART, ALGORITHM, path)
    read = pydicom.dcmread(path)
    assert read.PixelData == before
    assert not read.PatientName
    assert read.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == 2.5


def test_a_series_that_highdicom_refuses(tmp_path: Path) -> None:
    series, _, path = _written(tmp_path, AXES["axial"], APART)
    uids = iter(range(99))
    _change_all(series, lambda dataset: setattr(dataset, "StudyInstanceUID", f"1.2.3.{next(uids)}"))
    path.unlink()
    with pytest.raises(InputError, match=r"cannot be the source of a segmentation: .*same"):
        write_dicom_seg(series, tmp_path / "labels.nii.gz", APART, ALGORITHM, path)
    assert not path.exists()


def test_a_series_that_was_resampled_gets_the_labels_of_its_own_slices(tmp_path: Path) -> None:
    write_series(tmp_path / "series", np.zeros(SHAPE, np.int16), _affine(AXES["oblique"]))
    gone = next(file for file in (tmp_path / "series").iterdir() if pydicom.dcmread(file).InstanceNumber == 3)
    gone.unlink()
    (series,) = find_series(tmp_path / "series")
    array, affine = series_volume(series, resample=True)
    assert array.shape == SHAPE  # the missing slice is there again
    label_map = nib.Nifti1Image(_labels(), affine)
    nib.save(label_map, tmp_path / "labels.nii.gz")
    words = (series, tmp_path / "labels.nii.gz", APART, ALGORITHM, tmp_path / "seg.dcm")
    with pytest.raises(InputError, match="1 missing"):
        write_dicom_seg(*words)
    write_dicom_seg(*words, resample=True)
    read = hd.seg.segread(tmp_path / "seg.dcm")
    for source in map(pydicom.dcmread, series.files):
        pixels = read.get_pixels_by_source_instance([source.SOPInstanceUID], assert_missing_frames_are_empty=True)
        shape = (source.Rows, source.Columns)
        places = _places(source.ImagePositionPatient, source.ImageOrientationPatient, source.PixelSpacing, shape)
        expected = _at(label_map, places).reshape(shape)
        for number, one in enumerate(APART):
            assert np.array_equal(pixels[0, ..., number] > 0, np.isin(expected, one.labels))
