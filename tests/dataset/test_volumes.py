from __future__ import annotations

import gzip
import warnings

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.dataset.volumes import BYTES_PER_VOXEL, PROCESS_BYTES, memory_of_a_case, read_affine, read_volume
from mist_bundle.errors import InputError
from tests.dataset.samples import save_volume

AFFINE = np.array([[-0.8, 0, 0, 7], [0, 1.5, 0.1, -3], [0, -0.1, 3.0, 11], [0, 0, 0, 1]])


def refused(path):
    with pytest.raises(InputError) as caught:
        read_volume(path)
    (problem,) = caught.value.problems
    assert problem.path == path.name
    return problem.message


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", ">i2", ">f4"])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_reads_what_nibabel_reads(tmp_path, dtype, name):
    array = (np.random.default_rng(0).normal(100, 30, size=(5, 6, 7))).astype(dtype)
    path = tmp_path / name
    nib.save(nib.Nifti1Image(array, AFFINE, nib.Nifti1Header(endianness=">" if ">" in dtype else "<")), path)
    volume = read_volume(path)
    expected = nib.load(path)
    np.testing.assert_array_equal(volume.array, np.asanyarray(expected.dataobj))
    assert volume.array.dtype.isnative
    np.testing.assert_array_equal(volume.affine, expected.affine)
    assert volume.shape == (5, 6, 7)
    assert volume.warnings == ()


def test_nifti_2(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti2Image(array, AFFINE), path)
    np.testing.assert_array_equal(read_volume(path).array, array)


def test_scaled_files(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    image = nib.Nifti1Image(array, np.eye(4))
    image.header.set_slope_inter(0.5, -1000)
    path = tmp_path / "a.nii.gz"
    nib.save(image, path)
    expected = np.asanyarray(nib.load(path).dataobj)
    assert expected.min() != expected.max()
    np.testing.assert_array_equal(read_volume(path).array, expected)


def test_several_gzip_members_are_one_file(tmp_path):
    plain = save_volume(tmp_path / "a.nii", np.arange(24, dtype=np.int16).reshape(2, 3, 4)).read_bytes()
    path = tmp_path / "b.nii.gz"
    path.write_bytes(gzip.compress(plain[:100]) + gzip.compress(plain[100:]))
    assert read_volume(path).array[1, 2, 3] == 23


@pytest.fixture
def compressed(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, size=(20, 20, 20)).astype(np.uint8)
    return save_volume(tmp_path / "a.nii.gz", noise)


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0.01, 0.999))
def test_a_file_cut_anywhere_is_noticed(tmp_path_factory, share):
    folder = tmp_path_factory.getbasetemp()
    whole = save_volume(folder / "whole.nii.gz", np.arange(6000, dtype=np.uint8).reshape(20, 20, 15)).read_bytes()
    path = folder / "cut.nii.gz"
    path.write_bytes(whole[: max(1, int(share * len(whole)))])
    assert "Copy the file again" in refused(path)


@pytest.mark.parametrize("position", [0.3, 0.6, 0.95])
def test_a_changed_byte_is_noticed(compressed, position):
    content = bytearray(compressed.read_bytes())
    content[int(position * len(content))] ^= 0x10
    compressed.write_bytes(bytes(content))
    assert "damaged" in refused(compressed)


def test_a_cut_uncompressed_file_is_noticed(tmp_path):
    path = save_volume(tmp_path / "a.nii", np.zeros((4, 4, 4), np.float32))
    path.write_bytes(path.read_bytes()[:-8])
    assert "promises 608 bytes, but there are 600" in refused(path)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.nii.gz", "empty (0 bytes)"),
        (b"not gzip at all", "a.nii.gz", "no gzip file"),
        (gzip.compress(b"hello", mtime=0), "a.nii.gz", "not a NIfTI"),
        (b"\0" * 1000, "a.nii", "not a NIfTI"),
    ],
)
def test_files_that_are_something_else(tmp_path, content, name, words):
    path = tmp_path / name
    path.write_bytes(content)
    assert words in refused(path)


def test_absent_files(tmp_path):
    assert "cannot be read (No such file" in refused(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4, 2), (4, 4, 4, 1, 2)])
def test_only_three_dimensions(tmp_path, shape):
    message = refused(save_volume(tmp_path / "a.nii.gz", np.zeros(shape, np.float32)))
    assert str(shape) in message
    assert "expected 3" in message


def test_only_plain_numbers(tmp_path):
    assert "complex64" in refused(save_volume(tmp_path / "a.nii.gz", np.zeros((2, 2, 2), np.complex64)))


@pytest.mark.parametrize(
    "affine", [np.diag([1.0, 1, 0, 1]), np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])]
)
def test_affines_that_map_no_volume(tmp_path, affine):
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), None)
    image.header["sform_code"] = 1
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = affine[:3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nib.save(image, tmp_path / "a.nii.gz")
    assert "affine" in refused(tmp_path / "a.nii.gz")


def test_odd_headers_only_warn(tmp_path):
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), None), path)
    assert "no orientation" in read_volume(path).warnings[0]
    image = nib.Nifti1Image(np.zeros((9, 9, 9), np.uint8), np.eye(4))
    image.set_qform(np.diag([-1, 1, 1, 1]), 1)
    image.set_sform(np.eye(4), 1)
    nib.save(image, path)
    assert "16 mm apart; the sform is used" in read_volume(path).warnings[0]
    image.set_qform(np.eye(4), 1)
    nib.save(image, path)
    assert read_volume(path).warnings == ()


def test_read_affine(tmp_path):
    path = save_volume(tmp_path / "a.nii.gz", np.zeros((4, 5, 6, 2), np.float32), AFFINE)
    shape, affine = read_affine(path)
    assert shape == (4, 5, 6, 2)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-6)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_affine(path)


def test_every_shared_image_is_whole(hippocampus_dir):
    sitk = pytest.importorskip("SimpleITK")
    for path in sorted((hippocampus_dir / "imagesTr").glob("*.nii.gz"))[:5]:
        volume = read_volume(path)
        expected = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T
        np.testing.assert_allclose(volume.array, expected, rtol=1e-6)


def test_the_case_with_the_largest_files_says_how_much_memory_a_case_takes(tmp_path):
    random = np.random.default_rng(0)
    small, large, label = tmp_path / "small.nii.gz", tmp_path / "large.nii.gz", tmp_path / "label.nii.gz"
    nib.save(nib.Nifti1Image(random.normal(size=(5, 6, 7)), AFFINE), small)
    nib.save(nib.Nifti1Image(random.normal(size=(15, 16, 17)), AFFINE), large)
    nib.save(nib.Nifti1Image(np.zeros((15, 16, 17), np.uint8), AFFINE), label)
    expected = PROCESS_BYTES + BYTES_PER_VOXEL * 2 * 15 * 16 * 17
    assert memory_of_a_case([[small], [large, label], []]) == expected
    assert memory_of_a_case([[small]], 1.0) == PROCESS_BYTES + 5 * 6 * 7


def test_files_that_cannot_be_read_take_no_memory(tmp_path):
    damaged = tmp_path / "damaged.nii.gz"
    damaged.write_bytes(b"no image")
    assert memory_of_a_case([[damaged, tmp_path / "missing.nii.gz"]]) == PROCESS_BYTES
    assert memory_of_a_case([]) == PROCESS_BYTES
