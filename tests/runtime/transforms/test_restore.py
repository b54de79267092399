"""Predictions come back on the file that they were computed from."""

from __future__ import annotations

import json
from itertools import pairwise

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor, decollate_batch, list_data_collate

from mist_bundle.runtime.numerics.crop import as_box, box_slices
from mist_bundle.runtime.transforms.restore import RestoreSegmentationd
from tests.runtime.geometry import ORIENTATIONS, dice, make_affine, shape_for, two_organs
from tests.runtime.transforms.nifti import brain_like, write_nifti

LABELS = [0, 1, 4]
TRANSFORMS = "mist_bundle.runtime.transforms"


def preparation(target, labels=LABELS):
    """The list of a bundle, as JSON text: nothing but plain values may be needed."""
    steps = [
        {"_target_": "LoadImaged", "keys": ["image", "label"], "ensure_channel_first": True},
        {"_target_": f"{TRANSFORMS}.labels_to_indices.LabelsToIndicesd", "keys": "label", "labels": labels},
        {"_target_": f"{TRANSFORMS}.crop_to_foreground.CropToForegroundd"},
        {"_target_": f"{TRANSFORMS}.nonzero_mask.NonzeroMaskd"},
        {"_target_": f"{TRANSFORMS}.orientation.ReorientToLPSd", "keys": ["image", "label", "nonzero"]},
        {"_target_": f"{TRANSFORMS}.resample.ResampleToSpacingd", "target_spacing": target, "num_classes": len(labels)},
        {"_target_": f"{TRANSFORMS}.normalize.WindowNormalized", "mask_key": "nonzero"},
        {"_target_": f"{TRANSFORMS}.distance_maps.DistanceMapsd", "num_classes": len(labels)},
    ]
    text = json.dumps({"transforms": {"_target_": "Compose", "transforms": steps}})
    return ConfigParser(json.loads(text)).get_parsed_content("transforms")


def through_a_loader(data):
    """Batched and taken apart again, as a MONAI evaluator does: meta entries come back as tensors."""
    return decollate_batch(list_data_collate([data]))[0]


def write_case(folder, orientation, spacing, degrees, seed=0):
    label = two_organs(shape_for(spacing, (40, 36, 32)), seed)
    affine = make_affine(orientation, spacing, degrees)
    image = brain_like(label, seed)
    paths = [
        write_nifti(folder / f"{name}.nii.gz", array, affine) for name, array in (("t1", image), ("t2", 500 - image))
    ]
    values = np.array(LABELS, dtype=np.uint8)[label]
    return {
        "image": [str(path) for path in paths],
        "label": str(write_nifti(folder / "seg.nii.gz", values, affine)),
        "id": "a",
    }, values


@pytest.mark.parametrize(
    ("orientation", "spacing", "degrees", "target"),
    [
        (ORIENTATIONS[0], (1.0, 1.0, 1.0), (0, 0, 0), [1.0, 1.0, 1.0]),
        (ORIENTATIONS[10], (0.8, 0.9, 1.1), (8, -5, 12), [1.0, 1.0, 1.0]),
        (ORIENTATIONS[29], (1.0, 4.0, 1.0), (0, 15, 0), [1.2, 1.1, 3.0]),
        (ORIENTATIONS[47], (2.0, 0.7, 1.3), (-10, 3, 6), [0.9, 1.0, 1.5]),
    ],
)
def test_a_prediction_comes_back_on_the_file_it_was_made_from(tmp_path, orientation, spacing, degrees, target):
    case, values = write_case(tmp_path, orientation, spacing, degrees)
    prepared = preparation(target)(case)
    assert prepared["image"].shape[1:] == prepared["label"].shape[1:] == prepared["dtm"].shape[1:]
    assert nib.aff2axcodes(prepared["image"].affine.numpy()) == ("L", "P", "S")
    np.testing.assert_allclose(prepared["image"].pixdim, target, rtol=1e-5)
    assert abs(prepared["image"][0][prepared["nonzero"][0] != 0].mean()) < 1e-3

    scores = torch.nn.functional.one_hot(prepared["label"][0].long(), 3).permute(3, 0, 1, 2).float()
    batch = through_a_loader({"image": prepared["image"], "pred": MetaTensor(scores * 0.8 + 0.2 / 3), "id": "a"})
    result = RestoreSegmentationd(labels=LABELS, probabilities_key="probabilities")(batch)

    reference = nib.load(case["label"])
    np.testing.assert_allclose(result["pred"].affine, reference.affine, atol=1e-5)
    assert tuple(result["pred"].shape) == (1, *values.shape)
    assert result["pred"].dtype == torch.uint8
    # The crop looks at the image alone and may cut labelled voxels off: they are gone, all else must come back.
    inside = box_slices(as_box(prepared["image"].meta["crop_box"], values.shape))
    expected = np.zeros_like(values)
    expected[inside] = values[inside]
    restored = result["pred"][0].numpy()
    if spacing == tuple(target):
        np.testing.assert_array_equal(restored, expected)
    for value in LABELS[1:]:
        assert dice(restored, expected, value) > 0.8
    probabilities = result["probabilities"]
    assert tuple(probabilities.shape) == (3, *values.shape)
    torch.testing.assert_close(probabilities.sum(0).as_tensor(), torch.ones(values.shape))
    ordered = probabilities.as_tensor().sort(dim=0).values
    clear = (ordered[-1] - ordered[-2]) > 1e-4
    picked = torch.tensor(LABELS)[probabilities.as_tensor().argmax(0)]
    assert (picked[clear] == result["pred"].as_tensor()[0][clear]).all()
    assert "crop_box" not in result["pred"].meta


def test_outside_the_crop_everything_is_background(tmp_path):
    case, values = write_case(tmp_path, ORIENTATIONS[17], (1.0, 1.0, 1.0), (0, 0, 0))
    prepared = preparation([1.0, 1.0, 1.0])(case)
    (x0, y0, z0), (x1, y1, z1) = prepared["image"].meta["crop_box"]
    scores = torch.zeros(3, *prepared["image"].shape[1:])
    scores[2] = 1
    result = RestoreSegmentationd(labels=LABELS)({"image": prepared["image"], "pred": scores})["pred"][0].numpy()
    expected = np.zeros(values.shape)
    expected[x0:x1, y0:y1, z0:z1] = 4
    assert 0 < expected.mean() < 4
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [([0, 255], torch.uint8), ([0, 1000], torch.int32), ([-1, 1], torch.int32), ([0, 100_000], torch.int64)],
)
def test_labels_of_any_size(labels, dtype):
    meta = {"original_affine": np.eye(4), "spatial_shape": np.array([2, 2, 2], dtype=np.int16)}
    image = MetaTensor(torch.zeros(1, 2, 2, 2), affine=torch.eye(4), meta=meta)
    scores = torch.zeros(2, 2, 2, 2, dtype=torch.bfloat16)
    scores[1, 0] = 1
    result = RestoreSegmentationd(labels=labels)({"image": image, "pred": scores})["pred"]
    assert result.dtype == dtype
    assert result.unique().tolist() == sorted(labels)


def test_what_does_not_fit_is_refused_by_name():
    meta = {"original_affine": np.eye(4), "spatial_shape": np.array([2, 2, 2])}
    image = MetaTensor(torch.zeros(1, 2, 2, 2), affine=torch.eye(4), meta=meta)
    restore = RestoreSegmentationd(labels=LABELS)
    with pytest.raises(ValueError, match=r"'pred' have shape \(2, 2, 3\)"):
        restore({"image": image, "pred": torch.zeros(3, 2, 2, 3)})
    with pytest.raises(ValueError, match="2 score maps for 3 labels"):
        restore({"image": image, "pred": torch.zeros(2, 2, 2, 2)})
    with pytest.raises(ValueError, match="grid it was loaded from"):
        restore({"image": torch.zeros(1, 2, 2, 2), "pred": torch.zeros(3, 2, 2, 2)})
    with pytest.raises(ValueError, match="a single key"):
        RestoreSegmentationd(keys=["pred", "other"], probabilities_key="probabilities")


def test_each_step_keeps_every_voxel_where_it_is_in_the_world(tmp_path):
    """A point of the scene seen through the affine before and after each step of the preparation."""
    case, _ = write_case(tmp_path, ORIENTATIONS[33], (0.9, 1.4, 1.1), (9, -4, 7))
    seen = []
    for step in preparation([1.0, 1.2, 0.8]).transforms:
        case = step(case)
        volume = case["image"]
        weights = torch.where(case["label"][0].as_tensor() > 0, 1.0, 0.0)
        centre = torch.nonzero(weights).double().mean(dim=0)
        seen.append((volume.affine @ torch.cat([centre, torch.ones(1).double()]))[:3])
    assert len(seen) == 8
    for before, after in pairwise(seen):
        assert (before - after).norm() < 0.1


def test_a_real_case_survives_its_own_label(brats_dir):
    folder = sorted(path for path in brats_dir.iterdir() if path.is_dir())[0]
    case = {"image": [str(folder / "flair.nii.gz"), str(folder / "t1c.nii.gz")], "label": str(folder / "seg.nii.gz")}
    labels = [0, 1, 2, 3, 4]
    result = preparation([1.5, 1.5, 1.5], labels)(case)
    scores = torch.nn.functional.one_hot(result["label"][0].long(), 5).permute(3, 0, 1, 2).float()
    restored = RestoreSegmentationd(labels=labels)({"image": result["image"], "pred": scores})["pred"]
    truth = nib.load(case["label"])
    assert tuple(restored.shape[1:]) == truth.shape
    np.testing.assert_allclose(restored.affine, truth.affine, atol=1e-5)
    whole_tumour = dice(restored[0].numpy() > 0, np.asarray(truth.dataobj) > 0, True)
    assert whole_tumour > 0.95
