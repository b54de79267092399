"""Label maps that are made cell by cell are those of the whole volume, in every geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.inferers import SlidingWindowInferer
from torch import nn

from mist_bundle.runtime.inferers.ensemble import EnsembleInferer
from mist_bundle.runtime.inferers.segment import SegmentInferer
from mist_bundle.runtime.transforms.crop_to_foreground import CropToForegroundd
from mist_bundle.runtime.transforms.orientation import ReorientToLPSd
from mist_bundle.runtime.transforms.postprocess import ApplyPostprocessingd
from mist_bundle.runtime.transforms.resample import ResampleToSpacingd
from mist_bundle.runtime.transforms.restore import RestoreSegmentationd
from tests.runtime.geometry import ORIENTATIONS, make_affine, obliques, orientations

LABELS = [0, 3, 1, 700]
CASES: list[tuple[tuple[int, int, int], tuple[float, float, float], tuple[float, float, float], tuple[float, ...]]] = [
    ((30, 21, 17), (1.0, 1.0, 1.0), (0, 0, 0), (1.0, 1.0, 1.0)),  # the grid of the file itself
    ((30, 21, 17), (0.8, 0.8, 3.0), (0, 0, 0), (1.0, 1.0, 1.0)),  # anisotropic
    ((12, 40, 9), (2.0, 0.7, 1.3), (12, -8, 5), (1.1, 1.1, 1.1)),  # oblique
    ((7, 6, 5), (1.0, 1.0, 2.0), (0, 0, 0), (1.0, 1.0, 1.0)),  # smaller than a window
    ((24, 24, 24), (0.5, 0.5, 0.5), (0, 0, 0), (1.4, 1.4, 1.4)),  # the file is finer
]


def _prepared(case: Any, orientation: Any, *, crop: bool) -> MetaTensor:
    shape, spacing, degrees, target = case
    generator = torch.Generator().manual_seed(0)
    small = torch.randn(1, 1, 6, 6, 6, generator=generator)
    values = nn.functional.interpolate(small, size=shape, mode="trilinear")[0] + 0.2 * torch.randn(
        1, *shape, generator=generator
    )
    affine = torch.as_tensor(make_affine(orientation, spacing, degrees))
    meta = {"original_affine": affine.numpy(), "spatial_shape": np.asarray(shape)}
    data: dict[Any, Any] = {"image": MetaTensor(values, affine=affine, meta=meta)}
    if crop:
        data = CropToForegroundd(keys="image")(data)
    data = ReorientToLPSd(keys="image")(data)
    return ResampleToSpacingd(target, label_key=None)(data)["image"]


def _network(channels: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Conv3d(1, channels, 3, padding=1)


def _ensemble(**settings: Any) -> EnsembleInferer:
    window = SlidingWindowInferer(roi_size=(8, 10, 12), sw_batch_size=3, overlap=0.5, mode="gaussian")
    return EnsembleInferer(window, **settings)


@pytest.mark.parametrize("memory", [0.0, 1.0])
@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("orientation", ORIENTATIONS[::13])
@pytest.mark.parametrize("case", CASES)
def test_label_map_is_that_of_the_whole_volume(case: Any, orientation: Any, crop: bool, memory: float) -> None:
    image, network = _prepared(case, orientation, crop=crop), _network(len(LABELS))
    batch = list_data_collate([{"image": image}])["image"]
    with torch.no_grad():
        window = SlidingWindowInferer(roi_size=(8, 10, 12), sw_batch_size=3, overlap=0.5, mode="gaussian")
        whole = torch.softmax(window(image.as_tensor()[None], network), 1)[0]
    expected = RestoreSegmentationd(labels=LABELS)({"image": image, "pred": whole})["pred"]
    result = SegmentInferer(_ensemble(cells_gb=memory), LABELS)(batch, network)
    assert result.shape == (1, 1, *case[0])
    (result,) = decollate_batch(result)
    np.testing.assert_allclose(result.affine, expected.affine)
    np.testing.assert_array_equal(result.numpy(), expected.numpy())
    assert result.dtype is expected.dtype
    assert len(np.unique(result.numpy())) > 2, "there is something to compare"


@pytest.mark.parametrize("case", CASES)
def test_regions(case: Any) -> None:
    image, network = _prepared(case, ORIENTATIONS[22], crop=False), _network(3)
    labels, order = [2, 1, 4], [1, 0, 2]
    whole = _ensemble(activation="sigmoid", flip_axes=[0])(image.as_tensor()[None], network)[0]
    restore = RestoreSegmentationd(labels=labels, region_order=order)
    expected = restore({"image": image, "pred": whole})["pred"]
    inferer = SegmentInferer(_ensemble(activation="sigmoid", flip_axes=[0], cells_gb=0), labels, order)
    np.testing.assert_array_equal(inferer(image[None], network)[0].numpy(), expected.numpy())


def test_an_image_that_knows_no_file_is_segmented_on_its_own_grid() -> None:
    network, image = _network(2), torch.randn(1, 1, 9, 20, 11)
    expected = _ensemble()(image, network).argmax(1, keepdim=True)
    np.testing.assert_array_equal(SegmentInferer(_ensemble(), [0, 1])(image, network).numpy(), expected.numpy())


@settings(max_examples=20)
@given(
    shape=st.tuples(*[st.integers(3, 18)] * 3),
    orientation=orientations,
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 1.3, 3.1])] * 3),
    degrees=obliques,
    overlap=st.sampled_from([0.0, 0.25, 0.5]),
    flips=st.sampled_from([(), (1,), (0, 2)]),
    regions=st.booleans(),
    crop=st.booleans(),
)
def test_stream_and_whole_volume_agree(
    shape: Any, orientation: Any, spacing: Any, degrees: Any, overlap: float, flips: Any, regions: bool, crop: bool
) -> None:
    """All geometries mixed, down to post-processing, which needs the whole label map."""
    case = (shape, spacing, degrees, (1.0, 1.0, 1.0))
    image, network = _prepared(case, orientation, crop=crop), _network(4)
    window = SlidingWindowInferer(roi_size=(8, 10, 12), sw_batch_size=2, overlap=overlap, mode="gaussian")
    ensemble = EnsembleInferer(window, flips, activation="sigmoid" if regions else "softmax", cells_gb=1e-6)
    labels, order = ([2, 1, 4, 9], [1, 0, 3, 2]) if regions else (LABELS, None)
    steps = [{"transform": "keep_top_k_components", "apply_to_labels": [1], "per_label": True, "kwargs": {"k": 1}}]
    finish = ApplyPostprocessingd(strategy=steps)
    whole = ensemble(image.as_tensor()[None], network)[0]
    expected = RestoreSegmentationd(labels=labels, region_order=order)({"image": image, "pred": whole})
    result = SegmentInferer(ensemble, labels, order)(list_data_collate([{"image": image}])["image"], network)
    (label_map,) = decollate_batch(result)
    np.testing.assert_array_equal(finish({"pred": label_map})["pred"].numpy(), finish(expected)["pred"].numpy())
