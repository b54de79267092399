"""A DICOM folder is predicted as the images that it holds; the answer can be DICOM, too."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel import orientations

from mist_bundle.bundle.folder import Bundle
from mist_bundle.dataset.dicom_layout import named_series
from mist_bundle.dataset.dicom_layout import write_series as write_series_volumes
from mist_bundle.errors import InputError
from mist_bundle.pipeline.predict_cases import predict
from mist_bundle.pipeline.predict_dicom import SegmentationWriter

pytest.importorskip("pydicom")

from mist_bundle.dataset.dicom_writing import write_dicom_series
from tests.dataset.dicom_series import write_series

SHIPPED = Path(__file__).parents[2] / "bundles" / "hippocampus_segmentation"


def test_the_label_map_of_a_series(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 300, size=(36, 50, 34)).astype(np.int16)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    write_series(tmp_path / "studies" / "t1", array, affine)
    nib.save(nib.Nifti1Image(array.astype(np.float32), affine), tmp_path / "t1.nii.gz")
    (first,), _ = predict(SHIPPED, tmp_path / "studies", tmp_path / "from_dicom", device="cpu")
    (second,), _ = predict(SHIPPED, tmp_path / "t1.nii.gz", tmp_path / "from_nifti", device="cpu")
    assert np.allclose(nib.load(first).affine, nib.load(second).affine)
    assert np.array_equal(np.asarray(nib.load(first).dataobj), np.asarray(nib.load(second).dataobj))
    again, _ = predict(SHIPPED, tmp_path / "studies", tmp_path / "from_dicom", device="cpu")
    assert again == [first]


def _series(folder: Path, seed: int = 0) -> None:
    array = np.random.default_rng(seed).integers(0, 300, size=(36, 50, 34)).astype(np.int16)
    write_series(folder, array, np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_the_segmentation_of_each_series(tmp_path: Path) -> None:
    hd = pytest.importorskip("highdicom")
    for name in ("a", "b"):
        _series(tmp_path / "studies" / name, ord(name))
    codes = {"Anterior": {"type": ["5366008", "SCT", "Hippocampus"]}}
    written, warnings = predict(
        SHIPPED, tmp_path / "studies", tmp_path / "out", device="cpu", output_format="dicom_seg", segment_codes=codes
    )
    assert [path.name for path in written] == ["a.dcm", "b.dcm"]
    assert [warning.path for warning in warnings if "--segment_codes" in warning.message] == ["Posterior"]
    for path in written:
        read = hd.seg.segread(path)
        label_map = np.asarray(nib.load(path.with_suffix(".nii.gz")).dataobj)
        counts = [read.get_volume(segment_numbers=[number]).array.sum() for number in (1, 2)]
        assert counts == [np.count_nonzero(label_map == label) for label in (1, 2)]
        description = read.get_segment_description(1)
        assert description.segmented_property_type.meaning == "Hippocampus"
        (algorithm,) = description.SegmentationAlgorithmIdentificationSequence
        assert Bundle(SHIPPED).identity in algorithm.AlgorithmParameters
        assert algorithm.AlgorithmVersion == Bundle(SHIPPED).metadata["version"]


def test_a_segmentation_is_written_once(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    _series(tmp_path / "a")
    (entry,) = named_series(tmp_path / "a")
    write_series_volumes([entry], tmp_path / "out")  # stands for a label map: any image on the voxels of the series
    writer = SegmentationWriter.of_bundle(Bundle(SHIPPED), None)
    writer.write("a", entry.series, tmp_path / "out", overwrite=False)
    content = (tmp_path / "out" / "a.dcm").read_bytes()
    assert writer.write("a", entry.series, tmp_path / "out", overwrite=False) == []
    assert (tmp_path / "out" / "a.dcm").read_bytes() == content
    codes = {"Anterior": {"type": ["5366008", "SCT", "Hippocampus"]}}
    other = SegmentationWriter.of_bundle(Bundle(SHIPPED), codes)
    with pytest.raises(InputError, match=r"a\.dcm: belongs to another label map or to other codes.*--overwrite"):
        other.write("a", entry.series, tmp_path / "out", overwrite=False)
    assert (tmp_path / "out" / "a.dcm").read_bytes() == content
    other.write("a", entry.series, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "a.dcm").read_bytes() != content


def test_a_segmentation_needs_a_series(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    image = nib.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4))
    nib.save(image, tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match="--output_format dicom_seg: needs the DICOM series of the images"):
        predict(SHIPPED, tmp_path / "scan.nii.gz", tmp_path / "out", output_format="dicom_seg")
    assert not (tmp_path / "out").exists()


def test_codes_belong_to_segmentations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--segment_codes: belongs to --output_format dicom_seg"):
        predict(SHIPPED, tmp_path, tmp_path / "out", segment_codes={"Anterior": {}})


def test_a_file_of_another_origin_is_not_replaced(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    _series(tmp_path / "studies" / "a")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.dcm").write_text("mine")
    with pytest.raises(InputError, match=r"a\.dcm: exists already and was not written by this command"):
        predict(SHIPPED, tmp_path / "studies", tmp_path / "out", output_format="dicom_seg")
    assert (tmp_path / "out" / "a.dcm").read_text() == "mine"
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "a.dcm"]


@pytest.mark.slow
def test_a_real_case_in_six_storage_orders(shared_data: Path, tmp_path: Path) -> None:
    hd = pytest.importorskip("highdicom")
    image = nib.load(shared_data / "Task04_Hippocampus/imagesTr/hippocampus_001.nii.gz")
    orders = ("LPS", "RAS", "LAI", "PIR", "LSA", "ASL")
    for order in orders:
        turn = orientations.ornt_transform(orientations.io_orientation(image.affine), orientations.axcodes2ornt(order))
        turned = image.as_reoriented(turn)
        write_dicom_series(tmp_path / "studies" / order, np.asarray(turned.dataobj), turned.affine, modality="MR")
    written, _ = predict(SHIPPED, tmp_path / "studies", tmp_path / "out", device="cpu", output_format="dicom_seg")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine), tmp_path / "image.nii.gz")
    (expected,), _ = predict(SHIPPED, tmp_path / "image.nii.gz", tmp_path / "nifti", device="cpu")
    reference = nib.load(expected)
    assert len(written) == len(orders)
    for path in written:
        volume = hd.seg.segread(path).get_volume(combine_segments=True)
        lps = np.diag([-1.0, -1.0, 1.0, 1.0])
        to_reference = np.linalg.inv(reference.affine) @ lps @ volume.affine
        indices = np.vstack([np.indices(volume.array.shape).reshape(3, -1), np.ones(volume.array.size)])
        found = np.zeros(reference.shape, int)
        found[tuple(np.round(to_reference @ indices)[:3].astype(int))] = volume.array.ravel()
        assert np.array_equal(found, np.asarray(reference.dataobj))
    assert np.count_nonzero(reference.dataobj) > 2000
