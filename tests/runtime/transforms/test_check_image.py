"""Images that are unlike the training data are told, whatever their orientation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from mist_bundle.runtime.transforms.check_image import CheckImaged
from tests.runtime.geometry import ORIENTATIONS, make_affine

SHAPE_LPS, SPACING_LPS = (20, 24, 10), (1.0, 2.0, 4.0)
RANGES = {
    "spacing_mm": [[0.9, 1.2], [1.8, 2.2], [3.0, 5.0]],
    "extent_mm": [[18, 25], [40, 60], [30, 50]],
    "low": [[-1024, -1000]],
    "high": [[900, 1300]],
}


def _image(
    values: tuple[float, float] = (-1010.0, 1000.0),
    orientation: tuple[tuple[int, ...], tuple[int, ...]] = ORIENTATIONS[0],
    scale: float = 1.0,
) -> MetaTensor:
    axes = orientation[0]
    shape = tuple(SHAPE_LPS[axis] for axis in axes)
    affine = make_affine(orientation, tuple(scale * SPACING_LPS[axis] for axis in axes))
    array = np.linspace(*values, int(np.prod(shape)), dtype=np.float32).reshape(1, *shape)
    return MetaTensor(torch.from_numpy(array), affine=torch.as_tensor(affine))


def _warnings(image: MetaTensor, **settings: object) -> list[str]:
    check = CheckImaged(channel_names=["ct"], training_ranges=RANGES, same_units=True, **settings)
    return check({"image": image})["warnings"].splitlines()


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
def test_an_image_like_the_others_passes_in_every_orientation(
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    assert _warnings(_image(orientation=orientation)) == []


@pytest.mark.parametrize("orientation", ORIENTATIONS[::9])
def test_spacing_and_extent_far_off(orientation: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    spacing, extent = _warnings(_image(orientation=orientation, scale=1000))
    assert "voxels are 1e+03 × 2e+03 × 4e+03 mm, those of the training cases 0.9-1.2 × 1.8-2.2 × 3-5 mm" in spacing
    assert "it covers 2e+04 × 4.8e+04 × 4e+04 mm, the training cases 18-25 × 40-60 × 30-50 mm" in extent
    assert _warnings(_image(orientation=orientation, scale=1.9)) == [], "within twice the range"


@pytest.mark.parametrize("values", [(0.0, 4095.0), (0.0, 1.0), (-10.0, 1000.0), (-1e5, 1000.0)])
def test_intensities_that_are_no_hounsfield_units(values: tuple[float, float]) -> None:
    (warning,) = _warnings(_image(values))
    assert warning.startswith("ct ranges from ")
    assert "check its units" in warning
    check = CheckImaged(channel_names=["mr"], training_ranges=RANGES)
    assert check({"image": _image(values)})["warnings"] == "", "MR has no units"


def test_blank_image() -> None:
    assert _warnings(_image((0.0, 0.0))) == ["ct is 0 everywhere; check that the file holds an image."]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers(value: float) -> None:
    image = _image()
    image[0, 1, 2, 3] = value
    with pytest.raises(ValueError, match="ct holds 1 voxels that are NaN or infinite"):
        _warnings(image)


def test_another_number_of_channels() -> None:
    two = MetaTensor(torch.randn(2, 4, 4, 4), affine=torch.eye(4))
    with pytest.raises(ValueError, match=r"has 2 channels; the model was trained with 1 \(ct\)"):
        _warnings(two)


def test_nothing_known_of_the_training_data() -> None:
    check = CheckImaged(channel_names=["ct"], same_units=True)
    image = _image(scale=1000)
    result = check({"image": image, "id": "a"})
    assert result["warnings"] == ""
    assert result["image"] is image
