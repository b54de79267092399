"""A DICOM folder is predicted as the images that it holds."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mist_bundle.errors import InputError
from mist_bundle.pipeline.predict import predict

pytest.importorskip("pydicom")

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


def test_a_model_of_several_channels_needs_a_table(trained_bundle: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "t1", np.zeros((8, 8, 8), np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match=r"2 channels.*convert_dicom"):
        predict(trained_bundle, tmp_path / "t1", tmp_path / "out")
