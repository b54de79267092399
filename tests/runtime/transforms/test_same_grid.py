"""Labels in another storage order are turned, labels elsewhere refused."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from mist_bundle.runtime.transforms.crop_to_foreground import CropToForegroundd
from mist_bundle.runtime.transforms.labels_to_indices import LabelsToIndicesd
from mist_bundle.runtime.transforms.nifti_reader import NiftiReader
from mist_bundle.runtime.transforms.same_grid import ToGridOfd
from mist_bundle.runtime.transforms.save import SaveImaged
from tests.runtime.geometry import ORIENTATIONS, make_affine
from tests.runtime.transforms.nifti import write_nifti

AFFINE = make_affine(ORIENTATIONS[3], (0.9, 1.1, 2.0), (3, -4, 5))
LABELS = [0, 5, 2**31 + 7, 2**31 + 8]


def load(image, label):
    steps = [
        LoadImaged("image", reader=NiftiReader()),
        LoadImaged("label", reader=NiftiReader(), dtype=None),
        EnsureChannelFirstd(["image", "label"]),
        ToGridOfd("label", "image"),
        LabelsToIndicesd("label", LABELS),
    ]
    return Compose(steps)({"image": str(image), "label": str(label)})


@pytest.fixture
def index():
    index = np.zeros((9, 8, 7), np.uint8)
    index[2:5, 2:6, 1:4] = 1
    index[5:7, 2:4, 3:6] = 2
    index[3, 3, 2] = 3
    return index


def write_label(path, index, affine, codes):
    values = np.asarray(LABELS, np.int64)[index]
    stored = nib.Nifti1Image(values, affine, dtype=np.int64)
    nib.save(stored.as_reoriented(nib.orientations.axcodes2ornt(codes)), path)
    return path


@pytest.mark.parametrize("codes", ["LPS", "RAS", "IRP", "ASL"])
def test_a_label_stored_in_another_order_lies_where_its_image_lies(tmp_path, index, codes):
    image = write_nifti(tmp_path / "t1.nii.gz", (index + 1.5).astype(np.float32), AFFINE)
    case = load(image, write_label(tmp_path / "mask.nii.gz", index, AFFINE, codes))
    np.testing.assert_array_equal(case["label"].numpy()[0], index)
    np.testing.assert_allclose(case["label"].affine, case["image"].affine, atol=1e-4)
    CropToForegroundd()(case)


def test_a_label_somewhere_else_is_refused_by_name(tmp_path, index):
    image = write_nifti(tmp_path / "t1.nii.gz", index.astype(np.float32), AFFINE)
    elsewhere = AFFINE.copy()
    elsewhere[0, 3] += 4
    with pytest.raises(RuntimeError) as caught:
        load(image, write_label(tmp_path / "mask.nii.gz", index, elsewhere, "RAS"))
    assert "mask.nii.gz does not lie on the grid of t1.nii.gz" in str(caught.value.__cause__)


def test_a_header_in_micrometres_is_read_in_millimetres_and_written_as_it_was(tmp_path, index):
    in_microns = np.diag([1000, 1000, 1000, 1]) @ AFFINE
    source = nib.Nifti1Image(index.astype(np.int16), in_microns)
    source.set_qform(in_microns, 1)
    source.header.set_xyzt_units("micron")
    nib.save(source, tmp_path / "t1.nii.gz")
    case = load(tmp_path / "t1.nii.gz", write_label(tmp_path / "mask.nii.gz", index, AFFINE, "LPS"))
    np.testing.assert_allclose(case["image"].affine, AFFINE, atol=1e-4)
    SaveImaged("label", tmp_path / "out")({**case, "id": "a"})
    saved = nib.load(tmp_path / "out" / "a.nii.gz")
    assert saved.header.get_xyzt_units()[0] == "micron"
    np.testing.assert_allclose(saved.affine, nib.load(tmp_path / "t1.nii.gz").affine)
    ours, theirs = (sitk.ReadImage(str(tmp_path / name)) for name in ("out/a.nii.gz", "t1.nii.gz"))
    np.testing.assert_allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(ours.GetSpacing(), theirs.GetSpacing())
