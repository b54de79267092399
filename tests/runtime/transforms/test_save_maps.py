"""Maps that are written slab by slab are, byte for byte of their headers, those of whole volumes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose, LoadImaged
from torch import nn

from mist_bundle.runtime.inferers.ensemble import EnsembleInferer
from mist_bundle.runtime.inferers.segment import SegmentInferer
from mist_bundle.runtime.numerics.restore import restore_scores
from mist_bundle.runtime.predictions.maps import ScoreMaps
from mist_bundle.runtime.transforms.crop_to_foreground import CropToForegroundd
from mist_bundle.runtime.transforms.nifti_reader import NiftiReader
from mist_bundle.runtime.transforms.orientation import ReorientToLPSd
from mist_bundle.runtime.transforms.resample import ResampleToSpacingd
from mist_bundle.runtime.transforms.restore import on_original_grid
from mist_bundle.runtime.transforms.save import SaveImaged
from mist_bundle.runtime.transforms.save_maps import SaveMapsd
from mist_bundle.runtime.transforms.volume import CROP_BOX, affine_of, original_grid
from tests.runtime.geometry import ORIENTATIONS, make_affine

NUM_CLASSES = 3


def _case(folder: Path, orientation: Any, degrees: Any) -> dict[Any, Any]:
    """An image of its own orientation and spacing, prepared as a bundle does."""
    values = np.zeros((21, 30, 13), np.float32)
    values[2:20, 3:28, 1:12] = np.random.default_rng(0).random((18, 25, 11)) + 0.5
    image = nib.Nifti1Image(values, make_affine(orientation, (1.0, 0.8, 2.5), degrees))
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / "image.nii.gz")
    prepare = Compose([
        LoadImaged(keys="image", reader=NiftiReader, ensure_channel_first=True),
        CropToForegroundd(keys="image", source_key="image"),
        ReorientToLPSd(keys="image"),
        ResampleToSpacingd((1.1, 1.1, 1.1), label_key=None),
    ])  # fmt: skip
    return dict(prepare({"image": str(folder / "image.nii.gz"), "id": "case"}))


def _whole(scores: torch.Tensor, image: MetaTensor, *, exclusive: bool) -> MetaTensor:
    affine, shape = original_grid(image, "image")
    grids = (affine_of(image), affine, shape, image.meta[CROP_BOX])
    return on_original_grid(restore_scores(scores.numpy(), *grids, exclusive=exclusive), image, affine)


def _written(path: Path) -> tuple[bytes, np.ndarray]:
    with gzip.open(path) as stream:
        header = stream.read(352)
    return header, np.asarray(nib.load(path).dataobj)


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize(("orientation", "degrees"), [(0, (0, 0, 0)), (29, (7, -5, 12)), (46, (0, 0, 0))])
def test_maps_are_those_of_whole_volumes(tmp_path: Path, orientation: int, degrees: Any, exclusive: bool) -> None:
    case = _case(tmp_path, ORIENTATIONS[orientation], degrees)
    image = case["image"]
    torch.manual_seed(0)
    network = nn.Conv3d(1, NUM_CLASSES, 3, padding=1)
    window = SlidingWindowInferer(roi_size=(12, 12, 12), sw_batch_size=2, overlap=0.5, mode="gaussian")
    activation = "softmax" if exclusive else "sigmoid"
    ensemble = EnsembleInferer(window, [0, 1], activation=activation, uncertainty=True, cells_gb=0)
    maps = ScoreMaps(tmp_path / "stream", probabilities=True, uncertainty=True)
    labels, order = [0, 1, 2], None if exclusive else [0, 1, 2]
    SegmentInferer(ensemble, labels, order, maps)(image[None], network)
    SaveMapsd(maps, NUM_CLASSES, exclusive)(case)

    channels = ensemble(image.as_tensor()[None], network)[0]
    whole = {
        "probabilities": _whole(channels[:NUM_CLASSES], image, exclusive=exclusive),
        "entropy": _whole(channels[NUM_CLASSES : NUM_CLASSES + 1], image, exclusive=False),
        "disagreement": _whole(channels[NUM_CLASSES + 1 :], image, exclusive=False),
    }
    for name, volume in whole.items():
        SaveImaged(keys=name, output_dir=tmp_path / "whole", suffix=f"_{name}")({**case, name: volume})
        place = "probabilities/case" if name == "probabilities" else f"uncertainty/case_{name}"
        header, values = _written(tmp_path / "stream" / f"{place}.nii.gz")
        expected_header, expected = _written(tmp_path / "whole" / f"case_{name}.nii.gz")
        assert header == expected_header
        np.testing.assert_allclose(values, expected, atol=1e-6)
        assert values.std() > 0.001, "there is something to compare"


def test_maps_of_another_inferer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the bundle's own inferer"):
        SaveMapsd(ScoreMaps(tmp_path, probabilities=True), 2)({"image": MetaTensor(torch.zeros(1, 2, 2, 2)), "id": "a"})
