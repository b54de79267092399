"""SimpleITK reads written series as the volumes that they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pydicom = pytest.importorskip("pydicom")

from mist_bundle.dataset.dicom_writing import uid_from, write_dicom_series  # noqa: E402

AFFINE = np.array(
    [[-0.64, 0.288, -0.96, 10.5], [-0.48, -0.384, 1.28, -4.25], [0.0, 0.64, 1.2, 33.0], [0.0, 0.0, 0.0, 1.0]]
)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_simpleitk_reads_voxels_and_geometry(tmp_path: Path, modality: str) -> None:
    array = np.random.default_rng(3).integers(-900, 900, size=(5, 7, 6)) * 0.5
    uid = write_dicom_series(tmp_path / "s", array, AFFINE, modality=modality, slope=0.5, intercept=-300.0)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s"), uid))
    image = reader.Execute()
    # ITK counts slices along the normal of their plane, which here points as the third axis does
    assert np.array_equal(sitk.GetArrayFromImage(image).T, array)
    directions = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    assert np.allclose(np.diag([-1, -1, 1]) @ AFFINE[:3, :3], directions, atol=1e-6)
    assert np.allclose(np.diag([-1, -1, 1]) @ AFFINE[:3, 3], image.GetOrigin(), atol=1e-6)


def test_names_do_not_tell_the_order(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, np.zeros((4, 4, 9)), AFFINE)
    numbers = [pydicom.dcmread(path).InstanceNumber for path in sorted(tmp_path.iterdir())]
    assert sorted(numbers) == list(range(1, 10)) != numbers


def test_uids_follow_from_words() -> None:
    uid = uid_from("series", "a")
    assert uid == uid_from("series", "a")
    assert uid != uid_from("seriesa", "")
    assert pydicom.uid.UID(uid).is_valid
