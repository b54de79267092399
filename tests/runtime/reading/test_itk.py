"""NRRD, MetaImage and Analyze files give what the same image gives as NIfTI; damaged ones are refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from mist_bundle.runtime.reading.formats import is_readable_name, read_channels, read_grid, read_volume
from mist_bundle.runtime.reading.volume import UnreadableFileError

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
AXIS_CODES = ["".join(code) for axes in itertools.permutations(("LR", "PA", "IS")) for code in itertools.product(*axes)]


def _oriented(code: str, spacing: tuple[float, float, float]) -> np.ndarray:
    orientation = nib.orientations.axcodes2ornt(tuple(code))
    affine = nib.orientations.inv_ornt_aff(orientation, (5, 6, 7))
    return affine @ np.diag([*spacing, 1.0])


def _write(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """The same image through ITK's own NIfTI reader, which turns the affine by itself."""
    nifti = path.with_name("source.nii.gz")
    nib.save(nib.Nifti1Image(array, affine, dtype=array.dtype), nifti)
    sitk.WriteImage(sitk.ReadImage(str(nifti)), str(path))
    return path


@pytest.mark.parametrize("code", AXIS_CODES)
def test_every_orientation_is_read_as_from_nifti(code: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    affine = _oriented(code, (0.7, 1.3, 2.9))
    for suffix in SUFFIXES:
        volume = read_volume(_write(tmp_path / f"image{suffix}", array, affine))
        np.testing.assert_array_equal(volume.array, array)
        np.testing.assert_allclose(volume.affine, affine, atol=1e-5)
        shape, grid_affine = read_grid(tmp_path / f"image{suffix}")
        assert shape == array.shape
        np.testing.assert_allclose(grid_affine, affine, atol=1e-5)


@given(
    angles=st.tuples(*[st.floats(-1.5, 1.5)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 5.0)] * 3),
    offset=st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_oblique_grids_are_read_as_from_nifti(
    angles: tuple[float, float, float],
    spacing: tuple[float, float, float],
    offset: tuple[float, float, float],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles) * spacing, offset)
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    folder = tmp_path_factory.mktemp("oblique")
    for suffix in (".nrrd", ".mha"):
        volume = read_volume(_write(folder / f"image{suffix}", array, affine))
        np.testing.assert_array_equal(volume.array, array)
        np.testing.assert_allclose(volume.affine, affine, atol=2e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64])
def test_numbers_stay_what_they_are(dtype: type, tmp_path: Path) -> None:
    array = np.arange(8).reshape(2, 2, 2).astype(dtype) * 3
    volume = read_volume(_write(tmp_path / "image.nrrd", array, np.eye(4)))
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, array)
    assert not volume.array.flags.writeable


def test_an_analyze_pair_is_read_and_its_missing_orientation_is_said(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nib.AnalyzeImage(array, np.diag([2.0, 2.0, 2.0, 1.0])).to_filename(tmp_path / "scan.hdr")
    volume = read_volume(tmp_path / "scan.hdr")
    assert sorted(volume.array.ravel()) == sorted(array.ravel())
    assert np.linalg.norm(volume.affine[:3, :3], axis=0) == pytest.approx([2, 2, 2])
    assert "left and right are a guess" in volume.warnings[0]


def test_a_nifti_pair_has_its_orientation(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    affine = np.diag([-2.0, 1.0, 3.0, 1.0])
    nib.save(nib.Nifti1Pair(array, affine), tmp_path / "scan.hdr")
    volume = read_volume(tmp_path / "scan.hdr")
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine, affine)
    assert not volume.warnings


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_that_was_cut_short_is_refused(suffix: str, compressed: bool, tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    image = sitk.GetImageFromArray(array)
    path = tmp_path / f"image{suffix}"
    sitk.WriteImage(image, str(path), useCompression=compressed)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(UnreadableFileError, match=f"image{suffix} is damaged"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".hdr"])
def test_text_under_the_name_of_an_image_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image{suffix}"
    path.write_text("no image")
    with pytest.raises(UnreadableFileError, match="of another kind"):
        read_volume(path)


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image(4, 4, sitk.sitkInt16), str(tmp_path / "slice.mha"))
    with pytest.raises(UnreadableFileError, match="has 2 dimensions"):
        read_volume(tmp_path / "slice.mha")
    colours = sitk.Image((4, 4, 4), sitk.sitkVectorUInt8, 3)
    sitk.WriteImage(colours, str(tmp_path / "colours.nrrd"))
    with pytest.raises(UnreadableFileError, match="of 3 numbers each"):
        read_volume(tmp_path / "colours.nrrd")
    assert read_channels(tmp_path / "colours.nrrd").array.shape == (4, 4, 4, 3)


def test_names_of_the_formats() -> None:
    for name in ("a.nii.gz", "a.NII", "a.nrrd", "a.mha", "a.mhd", "a.nhdr", "a.hdr"):
        assert is_readable_name(Path(name))
    assert not is_readable_name(Path("a.img"))
