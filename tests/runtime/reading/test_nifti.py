"""NIfTI files: units, axes, orientation, exact numbers, and damage of every kind."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from mist_bundle.runtime.reading.formats import read_channels, read_grid, read_volume
from mist_bundle.runtime.reading.volume import UnreadableFileError
from tests.runtime.geometry import ORIENTATIONS, make_affine

AFFINE = make_affine(ORIENTATIONS[9], (0.8, 1.2, 2.5), (5, 6, 7))
ARRAY = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def write(path, array=ARRAY, affine=AFFINE, *, units=None, qform=1, sform=1, slope=None):
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, qform)
    image.set_sform(affine, sform)
    if units:
        image.header.set_xyzt_units(units)
    if slope:
        image.header.set_slope_inter(*slope)
    nib.save(image, path)
    return path


def patched(path, offset, kind, *values):
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into(kind, content, offset, *values)
    path.write_bytes(gzip.compress(bytes(content)))
    return path


def refusal(path, read=read_volume):
    with pytest.raises(UnreadableFileError) as caught:
        read(path)
    assert str(caught.value).startswith(path.name)
    return caught.value.reason


@pytest.mark.parametrize(("units", "millimetres"), [("meter", 1000), ("mm", 1), ("micron", 0.001), ("unknown", 1)])
def test_lengths_are_millimetres_whatever_the_unit_of_the_header(tmp_path, units, millimetres):
    in_unit = np.diag([*[1 / millimetres] * 3, 1]) @ AFFINE
    path = write(tmp_path / "a.nii.gz", affine=in_unit, units=units)
    volume = read_volume(path)
    np.testing.assert_allclose(volume.affine, AFFINE, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(read_grid(path)[1], volume.affine)
    assert volume.warnings == ()
    if units in ("mm", "micron", "meter"):  # ITK honours them too
        theirs = sitk.ReadImage(str(path))
        np.testing.assert_allclose(np.linalg.norm(volume.affine[:3, :3], axis=0), theirs.GetSpacing(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 5, 6, 1), (4, 5, 6, 1, 1), (4, 5, 1, 1)])
def test_trailing_axes_of_length_one_are_no_axes(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    volume = read_volume(write(tmp_path / "a.nii.gz", array))
    np.testing.assert_array_equal(volume.array, array.reshape(shape[:3]))


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 2), (4, 5, 6, 1, 3)])
def test_other_dimensions_are_no_volume(tmp_path, shape):
    assert f"dimensions {shape}" in refusal(write(tmp_path / "a.nii.gz", np.zeros(shape, np.uint8)))


def test_channels_as_nibabel_and_as_itk_store_them(tmp_path):
    array = np.random.default_rng(0).random((4, 5, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(read_channels(write(tmp_path / "a.nii.gz", array)).array, array)
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0, 3), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "b.nii.gz"))
    np.testing.assert_array_equal(read_channels(tmp_path / "b.nii.gz").array, array)
    assert read_channels(write(tmp_path / "c.nii.gz")).array.shape == (4, 5, 6, 1)


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.uint64])
def test_large_whole_numbers_are_exact(tmp_path, dtype):
    values = np.array([0, 2**24, 2**24 + 1, 2**31 + 3], dtype=dtype).reshape(4, 1, 1)
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(values, np.eye(4), dtype=dtype), path)
    assert read_volume(path).array.ravel().tolist() == values.ravel().tolist()


def test_whole_numbers_that_int64_does_not_hold_are_refused(tmp_path):
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), 2**63 + 5, np.uint64), np.eye(4), dtype=np.uint64), path)
    assert "above 2^63" in refusal(path)


def test_qform_alone_and_a_damaged_one_beside_an_sform(tmp_path):
    alone = write(tmp_path / "a.nii.gz", sform=0)
    np.testing.assert_allclose(read_volume(alone).affine, AFFINE, atol=1e-5)
    damaged = patched(write(tmp_path / "b.nii.gz"), 256, "<3f", 5, 5, 5)
    volume = read_volume(damaged)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    assert "damaged qform; the sform is used" in volume.warnings[0]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(("qform", "sform"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_qfac_of_zero_means_one(tmp_path, qform, sform, compressed):
    """As the standard says of pixdim[0]; writers that know nothing of qfac leave it at 0."""
    affine = np.diag([1.0, 2, 3, 1])
    path = patched(write(tmp_path / "a.nii.gz", affine=affine, qform=qform, sform=sform), 76, "<f", 0)
    if not compressed:
        plain = tmp_path / "a.nii"
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        path = plain
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.affine, nib.load(path).affine)
    np.testing.assert_array_equal(read_grid(path)[1], volume.affine)
    if qform or sform:
        np.testing.assert_allclose(volume.affine, affine)
        theirs = sitk.ReadImage(str(path))
        np.testing.assert_allclose(theirs.GetSpacing(), (1, 2, 3))
        np.testing.assert_allclose(theirs.GetDirection(), np.diag([-1.0, -1, 1]).ravel(), atol=1e-6)
        assert volume.warnings == ()
    else:
        (warning,) = volume.warnings
        assert "no orientation in its header" in warning


def test_voxel_sizes_that_the_header_gives_twice(tmp_path):
    path = patched(write(tmp_path / "a.nii.gz", qform=0), 80, "<3f", 1, 1, 1)
    (warning,) = read_volume(path).warnings
    assert "pixdim voxels of 1 x 1 x 1, but its sform of" in warning


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii.gz")
    (tmp_path / "device.nii").symlink_to("/dev/zero")
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "loop.nii.gz").symlink_to("loop.nii.gz")
    assert "not a regular file" in refusal(tmp_path / "pipe.nii.gz")
    assert "not a regular file" in refusal(tmp_path / "device.nii")
    assert "is a folder" in refusal(tmp_path / "folder.nii")
    assert "cannot be read" in refusal(tmp_path / "loop.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_promises_terabytes_takes_no_memory(tmp_path, name):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header["dim"] = [3, 30000, 30000, 30000, 1, 1, 1, 1]
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    content = header.binaryblock + bytes(4096)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    tracemalloc.start()
    assert "is cut short: the header promises 216000000000352 bytes" in refusal(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_voxels_that_begin_at_no_number_are_a_damaged_header(tmp_path):
    assert "damaged NIfTI header" in refusal(patched(write(tmp_path / "a.nii.gz"), 108, "<f", float("nan")))


def test_a_pair_in_one_file_is_refused(tmp_path):
    assert "another file" in refusal(patched(write(tmp_path / "a.nii.gz"), 344, "4s", b"ni1\0"))


def test_a_refusal_travels_between_processes(tmp_path):
    with pytest.raises(UnreadableFileError) as caught:
        read_volume(tmp_path / "absent.nii.gz")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.file_name, str(again)) == ("absent.nii.gz", str(caught.value))


def test_a_name_that_is_wrong_about_compression_is_said(tmp_path):
    """Copying the file again, as for a damaged one, would not help."""
    plain, packed = write(tmp_path / "a.nii"), write(tmp_path / "b.nii.gz")
    plain.rename(tmp_path / "a.nii.gz")
    packed.rename(tmp_path / "b.nii")
    assert "is not compressed, though its name ends in .gz. Rename it a.nii" in refusal(tmp_path / "a.nii.gz")
    assert "is compressed, though its name does not end in .gz. Rename it b.nii.gz" in refusal(tmp_path / "b.nii")


def test_voxels_without_size_matter_only_where_the_header_has_no_sform(tmp_path, caplog):
    """nibabel takes them for 1 mm, and says so without naming the file."""
    path = patched(write(tmp_path / "a.nii.gz", qform=0), 80, "<3f", 0, 0, 0)
    assert read_volume(path).warnings == ()
    path = patched(write(tmp_path / "b.nii.gz", qform=1, sform=0), 80, "<3f", 0, 0, 0)
    assert "an affine that maps no volume" in refusal(path)
    assert read_volume(patched(write(tmp_path / "c.nii.gz"), 80, "<3f", -1, -1, -1)).warnings is not None
    assert caplog.text == ""
