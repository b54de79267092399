"""Saved files lie where the image lies, for every reader."""

from __future__ import annotations

import errno

import monai
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.transforms import LoadImage

from mist_bundle.runtime.transforms.save import SaveImaged
from tests.runtime.geometry import ORIENTATIONS, make_affine
from tests.runtime.transforms.nifti import write_nifti

GEOMETRY = ("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
GEOMETRY += ("srow_x", "srow_y", "srow_z", "xyzt_units")


def loaded(path):
    """An image as it arrives at the saver: read by MONAI, batched and taken apart again."""
    image = LoadImage(ensure_channel_first=True)(path)
    return decollate_batch(list_data_collate([{"image": image}]))[0]["image"]


@pytest.mark.parametrize(("qform", "sform"), [(1, 1), (1, 0), (0, 2), (3, 4), (0, 0)])
@pytest.mark.parametrize("orientation", [ORIENTATIONS[0], ORIENTATIONS[22]])
def test_the_file_lies_where_the_reference_lies_for_every_reader(tmp_path, qform, sform, orientation):
    affine = make_affine(orientation, (0.7, 1.9, 2.5), (6, 7, 8))
    source = write_nifti(tmp_path / "image.nii.gz", np.zeros((4, 5, 6), dtype=np.int16), affine, qform, sform)
    image = loaded(source)
    label = np.random.default_rng(0).integers(0, 4, size=(1, 4, 5, 6)).astype(np.uint8)
    pred = MetaTensor(torch.from_numpy(label), affine=image.meta["original_affine"])
    SaveImaged(output_dir=tmp_path / "out")({"image": image, "pred": pred, "id": "007"})

    before, after = nib.load(source), nib.load(tmp_path / "out" / "007.nii.gz")
    np.testing.assert_array_equal(np.asarray(after.dataobj), label[0])
    assert after.get_data_dtype() == np.uint8
    np.testing.assert_allclose(after.affine, before.affine, atol=1e-6)
    for field in GEOMETRY:
        np.testing.assert_array_equal(after.header[field], before.header[field], err_msg=field)
    np.testing.assert_allclose(after.header["pixdim"][:4], before.header["pixdim"][:4])
    if (qform, sform) != (0, 0):
        ours, theirs = sitk.ReadImage(str(tmp_path / "out" / "007.nii.gz")), sitk.ReadImage(str(source))
        np.testing.assert_allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-5)
        np.testing.assert_allclose(ours.GetDirection(), theirs.GetDirection(), atol=1e-6)


@pytest.mark.parametrize(
    ("top", "bottom", "dtype"),
    [(255, 0, "uint8"), (256, 0, "uint16"), (70_000, 0, "uint32"), (3, -2, "int16")],
)
def test_the_smallest_type_that_holds_the_labels(tmp_path, top, bottom, dtype):
    pred = torch.zeros(1, 3, 3, 3, dtype=torch.int64)
    pred[0, 0, 0], pred[0, 0, 1] = top, bottom
    image = MetaTensor(torch.zeros(1, 3, 3, 3), affine=torch.eye(4))
    SaveImaged(output_dir=tmp_path)({"image": image, "pred": pred, "id": "a"})
    saved = nib.load(tmp_path / "a.nii.gz")
    assert saved.get_data_dtype() == np.dtype(dtype)
    assert (np.asarray(saved.dataobj).max(), np.asarray(saved.dataobj).min()) == (top, bottom)


def test_a_source_that_is_no_nifti_gets_both_forms_in_millimetres(tmp_path):
    affine = make_affine(ORIENTATIONS[9], (1, 2, 3), (4, 5, 6))
    pred = MetaTensor(torch.ones(1, 3, 4, 5, dtype=torch.uint8), affine=torch.from_numpy(affine))
    SaveImaged(output_dir=tmp_path)({"image": pred, "pred": pred, "id": "a"})
    header = nib.load(tmp_path / "a.nii.gz").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(header.get_qform(), affine, atol=1e-5)
    np.testing.assert_allclose(header.get_sform(), affine, atol=1e-5)


def test_an_affine_in_lps_is_written_as_ras(tmp_path):
    pred = MetaTensor(torch.ones(1, 2, 2, 2, dtype=torch.uint8), affine=torch.eye(4), meta={"space": "LPS"})
    SaveImaged(output_dir=tmp_path)({"image": pred, "pred": pred, "id": "a"})
    np.testing.assert_allclose(nib.load(tmp_path / "a.nii.gz").affine, np.diag([-1, -1, 1, 1]))


def test_probabilities_become_one_file_with_the_channels_last(tmp_path):
    maps = torch.rand(3, 4, 5, 6, dtype=torch.float64)
    saver = SaveImaged("probabilities", output_dir=tmp_path, suffix="_probabilities")
    saver({"image": MetaTensor(maps[:1]), "probabilities": MetaTensor(maps), "id": "a"})
    saved = nib.load(tmp_path / "a_probabilities.nii.gz")
    assert saved.get_data_dtype() == np.float32
    np.testing.assert_allclose(np.asarray(saved.dataobj), maps.permute(1, 2, 3, 0).numpy(), atol=1e-7)


def test_without_an_id_the_file_is_named_after_its_source(tmp_path):
    image = MetaTensor(torch.zeros(1, 2, 2, 2), meta={"filename_or_obj": "/data/case.v2.nii.gz"})
    data = {"image": image, "pred": torch.ones(1, 2, 2, 2, dtype=torch.uint8)}
    assert SaveImaged(output_dir=tmp_path)(data)["pred"] is data["pred"]
    assert [path.name for path in tmp_path.iterdir()] == ["case.v2.nii.gz"]


@pytest.mark.parametrize("name", ["../a", "a/b", "..", ""])
def test_an_id_that_leads_elsewhere_is_refused(tmp_path, name):
    data = {"image": torch.zeros(1, 2, 2, 2), "pred": torch.zeros(1, 2, 2, 2), "id": name}
    with pytest.raises(ValueError, match="cannot name a file"):
        SaveImaged(output_dir=tmp_path / "out")(data)
    assert not (tmp_path / "out").exists()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    write_nifti(tmp_path / "a.nii.gz", np.full((2, 2, 2), 9, dtype=np.uint8), np.eye(4))

    def fail(image, stream):
        stream.write(b"half")
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(nib.Nifti1Image, "to_stream", fail)
    data = {"image": torch.zeros(1, 2, 2, 2), "pred": torch.zeros(1, 2, 2, 2, dtype=torch.uint8), "id": "a"}
    with pytest.raises(OSError, match="disk full"):
        SaveImaged(output_dir=tmp_path)(data)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]
    assert (np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj) == 9).all()


def test_the_same_label_map_is_the_same_bytes(tmp_path):
    data = {"image": torch.zeros(1, 2, 2, 2), "pred": torch.ones(1, 2, 2, 2, dtype=torch.uint8), "id": "a"}
    for folder in ("one", "two"):
        SaveImaged(output_dir=tmp_path / folder)(data)
    assert (tmp_path / "one/a.nii.gz").read_bytes() == (tmp_path / "two/a.nii.gz").read_bytes()


def test_consumers_that_write_files_themselves_recognise_it():
    saver = SaveImaged()
    assert isinstance(saver, monai.transforms.SaveImaged), "MONAI Label"
    assert type(saver).__name__ == "SaveImaged", "MONAI Deploy looks for SaveImage in the name"
