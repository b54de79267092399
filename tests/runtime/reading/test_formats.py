"""Which reader a file goes to, by its name; image suffixes are taken off whole."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from mist_bundle.runtime.reading.formats import (
    image_stem,
    image_suffix,
    is_readable_name,
    read_channels,
    read_grid,
    read_volume,
)
from mist_bundle.runtime.reading.volume import UnreadableFileError

ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])


def write(path: Path) -> Path:
    if path.name.endswith((".nii", ".nii.gz")):
        nib.save(nib.Nifti1Image(ARRAY, AFFINE), path)
        return path
    image = sitk.GetImageFromArray(ARRAY.T)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # RAS axes in ITK's LPS
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "A.NRRD"])
def test_every_kind_is_the_same_volume(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-6)
    shape, affine = read_grid(path)
    assert shape == (2, 3, 4)
    np.testing.assert_allclose(affine, AFFINE, atol=1e-6)
    assert read_channels(path).array.shape == (2, 3, 4, 1)


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("case.01.nii.gz", "case.01", ".nii.gz"),
        ("Case.NII.GZ", "Case", ".nii.gz"),
        ("a.hdr", "a", ".hdr"),
        ("a.png", "a.png", ""),
        ("a.gz", "a.gz", ""),
    ],
)
def test_image_suffixes(name: str, stem: str, suffix: str) -> None:
    assert (image_stem(Path(name)), image_suffix(Path(name))) == (stem, suffix)
    assert is_readable_name(Path(name)) == bool(suffix)


def test_another_name_is_refused_by_what_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG" + 1000 * b"\0")
    with pytest.raises(UnreadableFileError, match=r"a\.png is not a NIfTI file"):
        read_volume(path)
