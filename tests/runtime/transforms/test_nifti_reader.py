"""Files become channels if they share a grid; headers reach the prediction."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.bundle import ConfigParser
from monai.transforms import LoadImaged

from mist_bundle.runtime.reading.formats import read_volume
from mist_bundle.runtime.reading.volume import UnreadableFileError
from mist_bundle.runtime.transforms.check_image import CheckImaged
from mist_bundle.runtime.transforms.nifti_reader import NiftiReader
from tests.runtime.geometry import ORIENTATIONS, make_affine
from tests.runtime.memory import numpy_peak
from tests.runtime.transforms.nifti import write_nifti

AFFINE = make_affine(ORIENTATIONS[5], (1.0, 1.2, 3.0), (3, 4, 5))


def write_pair(folder, second_affine, second_shape=(4, 5, 6)):
    arrays = [
        np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        for seed, shape in enumerate([(4, 5, 6), second_shape])
    ]
    paths = [
        write_nifti(folder / f"{name}.nii.gz", array, affine)
        for name, array, affine in zip("ab", arrays, (AFFINE, second_affine), strict=True)
    ]
    return [str(path) for path in paths], arrays


def shifted(distance_mm):
    affine = AFFINE.copy()
    affine[0, 3] += distance_mm
    return affine


def load(paths):
    config = {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True}
    reader = "mist_bundle.runtime.transforms.nifti_reader.NiftiReader"
    return ConfigParser({"load": {**config, "reader": reader}}).get_parsed_content("load")({"image": paths})["image"]


def test_channels_whose_headers_differ_in_the_last_digits_are_stacked(tmp_path):
    paths, arrays = write_pair(tmp_path, shifted(0.01))
    with pytest.raises(RuntimeError, match="affine matrix of all images should be the same"):
        LoadImaged("image")({"image": paths})  # the reason for this reader; when this fails, it can go
    image = load(paths)
    np.testing.assert_array_equal(image.numpy(), np.stack(arrays))
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    assert image.meta["spatial_shape"].tolist() == [4, 5, 6]
    assert image.meta["filename_or_obj"] == paths[0]


@pytest.mark.parametrize("kind", ["scaled.nii.gz", "whole.nii", "itk.nii.gz", "itk.nrrd", "itk.mha"])
@pytest.mark.parametrize("as_float32", [True, False])
def test_a_file_with_all_channels_is_read_like_a_file_for_each(tmp_path, kind, as_float32):
    stored = np.random.default_rng(1).integers(-900, 900, (4, 5, 6, 3)).astype(np.int16)
    paths = [str(tmp_path / f"{number}.nii.gz") for number in range(3)]
    joint = str(tmp_path / kind)
    for number, path in enumerate(paths):
        _save(path, stored[..., number], AFFINE, scaled=kind.startswith("scaled"))
    if kind.startswith("itk"):
        channels = [sitk.ReadImage(path) for path in paths]
        sitk.WriteImage(sitk.Compose(channels), joint)
    else:
        _save(joint, stored, AFFINE, scaled=kind.startswith("scaled"))
    reader = NiftiReader(as_float32=as_float32)
    expected, _ = reader.get_data(reader.read(paths))
    array, meta = reader.get_data(reader.read([joint] * 3))
    assert array.dtype == expected.dtype
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array, expected)
    np.testing.assert_allclose(meta["affine"], AFFINE, atol=1e-5)
    assert meta["spatial_shape"].tolist() == [4, 5, 6]
    assert load([joint] * 3).shape == (3, 4, 5, 6)


def _save(path, array, affine, *, scaled):
    image = nib.Nifti1Image(array, affine)
    if scaled:
        image.header.set_slope_inter(0.3, -7.1)
    nib.save(image, path)


def test_the_same_volume_stands_for_a_channel_that_is_missing(tmp_path):
    paths, arrays = write_pair(tmp_path, AFFINE)
    np.testing.assert_array_equal(load([paths[0]] * 2).numpy(), np.stack([arrays[0]] * 2))
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6, 3), np.int16), AFFINE), tmp_path / "three.nii.gz")
    with pytest.raises(UnreadableFileError, match="has 4 dimensions"):
        load([str(tmp_path / "three.nii.gz")] * 2)


def test_one_file_is_read_as_monai_reads_it(tmp_path):
    paths, _ = write_pair(tmp_path, AFFINE)
    ours, theirs = load(paths[0]), LoadImaged("image", ensure_channel_first=True)({"image": paths[0]})["image"]
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert ours.meta.keys() - {"unit_in_mm", "header_warnings"} == theirs.meta.keys()


@pytest.mark.parametrize(
    ("affine", "shape", "message"),
    [
        (shifted(0.2), (4, 5, 6), "0.2 mm apart"),
        (AFFINE * [1, -1, 1, 1], (4, 5, 6), "mm apart.* point to LPI, those of a.nii.gz to LAI"),
        (AFFINE, (4, 5, 7), "is \\(4, 5, 7\\), expected \\(4, 5, 6\\)"),
    ],
)
def test_channels_that_do_not_coincide_are_refused_by_name(tmp_path, affine, shape, message):
    paths, _ = write_pair(tmp_path, affine, shape)
    with pytest.raises(ValueError, match=message) as error:
        load(paths)
    assert "b.nii.gz" in str(error.value)


def test_the_tolerance_is_settable(tmp_path):
    paths, _ = write_pair(tmp_path, shifted(0.2))
    image = LoadImaged("image", reader=NiftiReader(tolerance_voxels=0.5))({"image": paths})["image"]
    assert image.shape == (2, 4, 5, 6)


def test_what_is_odd_in_headers_reaches_the_prediction_in_the_readers_own_words(tmp_path):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    paths = [write_nifti(tmp_path / f"{name}.nii.gz", array, affine, qform=0, sform=0) for name in ("a", "b")]
    image = LoadImaged("image", reader=NiftiReader())({"image": [str(path) for path in paths]})["image"]
    said = CheckImaged(channel_names=["a", "b"])({"image": image})["warnings"].splitlines()
    assert said == [*read_volume(paths[0]).warnings, *read_volume(paths[1]).warnings]
    assert len(said) == 2
    assert "b.nii.gz has no orientation in its header" in said[1]


def scaled_file(path, stored, slope, inter):
    image = nib.Nifti1Image(stored, AFFINE)
    image.header.set_slope_inter(slope, inter)
    nib.save(image, path)
    return str(path)


@pytest.mark.parametrize("number_of_files", [1, 2])
def test_read_as_float32_an_image_is_what_monai_makes_of_it(tmp_path, number_of_files):
    rng = np.random.default_rng(2)
    files = []
    for index in range(number_of_files):
        stored = rng.integers(-2000, 2000, (40, 50, 60)).astype(np.int16)
        files.append(scaled_file(tmp_path / f"{index}.nii.gz", stored, 0.1, -3.7))
    ours = LoadImaged("image", reader=NiftiReader(as_float32=True))({"image": files})["image"]
    theirs = LoadImaged("image")({"image": files})["image"]
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert ours.dtype == theirs.dtype
    assert ours.is_contiguous()
    plain = LoadImaged("image", reader=NiftiReader())({"image": files})["image"]
    np.testing.assert_array_equal(ours.numpy(), plain.numpy())
    assert ours.meta.keys() == plain.meta.keys()


@pytest.mark.parametrize("slope", [1, 0.5])
def test_reading_as_float32_takes_little_more_than_the_image(tmp_path, slope):
    files = []
    for index in range(2):
        stored = np.full((200, 200, 100), 100 + index, np.int16)
        files.append(scaled_file(tmp_path / f"{index}.nii", stored, slope, 0))
    float32 = 2 * 4 * stored.size
    load = LoadImaged("image", reader=NiftiReader(as_float32=True))
    blocks = 12e6  # of the file, while it is read
    assert numpy_peak(lambda: load({"image": files})) < blocks + (1.6 if slope == 1 else 2.3) * float32


@pytest.mark.parametrize("number_of_files", [1, 2])
def test_numbers_beyond_float32_are_refused_in_words(tmp_path, number_of_files):
    """They would become infinity, which the file does not hold."""
    path = write_nifti(tmp_path / "a.nii.gz", np.full((4, 5, 6), 1e300), AFFINE)
    with pytest.raises(UnreadableFileError, match=r"a\.nii\.gz holds numbers above 3\.4e\+38"):
        NiftiReader(as_float32=True).get_data([path] * number_of_files)


@pytest.mark.parametrize("slope", [1, 2])
@pytest.mark.parametrize("bad", ["a.nii", "b.nii", "c.nii"])
def test_the_file_with_the_large_number_is_named(tmp_path, bad, slope):
    files = []
    for name in ("a.nii", "b.nii", "c.nii"):
        image = nib.Nifti1Image(np.full((4, 5, 6), 1e39 if name == bad else 1.0), AFFINE)
        image.header.set_slope_inter(slope, 0)
        nib.save(image, tmp_path / name)
        files.append(tmp_path / name)
    with pytest.raises(UnreadableFileError, match=rf"^{bad[0]}\.nii holds numbers above"):
        NiftiReader(as_float32=True).get_data(files)
