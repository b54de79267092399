"""Rotation and scaling against scipy's rotations, whole-volume resampling and closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from mist_bundle.runtime.loading.affine import linear_map, place, rotation
from mist_bundle.runtime.loading.augmentation import Augmentation
from mist_bundle.runtime.loading.numpy_operations import apply_draw
from mist_bundle.runtime.loading.patches import PatchSampler
from mist_bundle.runtime.loading.warp import warp

from .synthetic import entries, patch_sampler, random_case

ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)
FLIPS = st.tuples(*[st.booleans()] * 3)


def test_rotation_is_scipys_about_fixed_axes() -> None:
    for degrees in ((30, 0, 0), (0, -20, 0), (0, 0, 90), (12, -34, 156)):
        np.testing.assert_allclose(
            rotation(degrees), Rotation.from_euler("xyz", degrees, degrees=True).as_matrix(), atol=1e-12
        )


@given(degrees=ANGLES, flips=FLIPS)
def test_rotation_is_rigid_in_millimetres(degrees: tuple[float, ...], flips: tuple[bool, ...]) -> None:
    spacing = np.diag([0.8, 0.8, 3.0])
    in_mm = spacing @ linear_map(degrees, (1, 1, 1), flips, (0.8, 0.8, 3.0)) @ np.linalg.inv(spacing)
    np.testing.assert_allclose(in_mm @ in_mm.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(in_mm) == pytest.approx((-1) ** sum(flips))


@settings(max_examples=200, deadline=None)
@given(
    degrees=ANGLES,
    scale=st.floats(0.7, 1.4),
    flips=FLIPS,
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    voxel=st.tuples(*[st.floats(0, 0.999)] * 3),
    u=st.tuples(*[st.floats(0, 0.999)] * 3),
    anchored=st.booleans(),
)
def test_the_box_covers_the_patch_the_patch_its_voxel_and_the_volume_both(
    degrees: tuple[float, ...],
    scale: float,
    flips: tuple[bool, ...],
    shape: tuple[int, int, int],
    voxel: tuple[float, ...],
    u: tuple[float, ...],
    anchored: bool,
) -> None:
    size = (10, 12, 7)
    linear = linear_map(degrees, (scale,) * 3, flips, (1.0, 1.0, 2.0))
    anchor = (int(voxel[0] * shape[0]), int(voxel[1] * shape[1]), int(voxel[2] * shape[2])) if anchored else None
    box = place(linear, size, shape, anchor, u)
    matrix = np.asarray(box.map)
    corners = np.stack(np.meshgrid(*[(0, length - 1) for length in size], indexing="ij")).reshape(3, -1)
    inside = matrix[:, :3] @ corners + matrix[:, 3:]
    assert np.all(inside >= 1 - 1e-9), "a voxel of margin"
    assert np.all(inside <= np.array(box.extent)[:, None] - 2 + 1e-9)
    if anchor is None:
        reach = np.abs(linear) @ (np.array(size) - 1)
        in_volume = inside + np.array(box.start)[:, None]
        for axis in range(3):
            if reach[axis] <= shape[axis] - 1:
                assert in_volume[axis].min() >= -1e-9
                assert in_volume[axis].max() <= shape[axis] - 1 + 1e-9
    else:
        place_in_patch = np.linalg.solve(matrix[:, :3], np.array(anchor) - box.start - matrix[:, 3])
        assert np.all(place_in_patch >= -1e-9)
        assert np.all(place_in_patch <= np.array(size) - 1 + 1e-9)


def test_quarter_turn_is_a_quarter_turn() -> None:
    case = random_case(0, (9, 9, 9), channels=2)
    box = place(linear_map((0, 0, 90), (1, 1, 1), (False,) * 3, (1, 1, 1)), (9, 9, 9), (9, 9, 9), None, (0, 0, 0))
    padded = {key: np.pad(array, [(0, 0), (1, 1), (1, 1), (1, 1)]) for key, array in case.items()}
    assert box.start == (-1, -1, -1)
    image = warp(padded["image"], box.map or (), (9, 9, 9), order=1)
    label = warp(padded["label"], box.map or (), (9, 9, 9), order=0)
    # patch index p reads volume index R p: x' = -y, y' = x
    np.testing.assert_allclose(image, np.rot90(case["image"], axes=(2, 1)), atol=1e-5)
    np.testing.assert_array_equal(label, np.rot90(case["label"], axes=(2, 1)))
    assert label.dtype == np.uint8


def _turning(tmp_path: Path, **options: object) -> PatchSampler:
    (entry,) = entries(tmp_path, {"a": random_case(3, (24, 22, 20), channels=2)})
    coarse = replace(entry, affine=((0.9, 0, 0, 0), (0, 0.9, 0, 0), (0, 0, 2.0, 0), (0, 0, 0, 1)))
    augmentation = Augmentation.from_config({"zoom_probability": 0.0, **options})
    return patch_sampler([coarse], (10, 12, 8), augmentation=augmentation)


def test_patch_equals_the_whole_volume_resampled(tmp_path: Path) -> None:
    """What is read from a small box is what resampling the endless zero-padded volume gives."""
    sampler = _turning(tmp_path, rotation_probability=1, scaling_probability=1, noise_probability=0, blur_probability=0)
    volume = {key: sampler.cases[0].array(key) for key in ("image", "label")}
    differing = 0
    for index in range(8):
        draw = sampler.draw(0, index)
        draw = replace(draw, brightness=1.0, contrast=1.0)
        patch = apply_draw(sampler.read(draw, ("image", "label")), draw, sampler.patch_size, None)
        matrix = np.asarray(draw.box_map)
        offset = matrix[:, 3] + draw.start
        for key, order in (("image", 1), ("label", 0)):
            expected = [
                affine_transform(
                    channel.astype(np.float64), matrix[:, :3], offset, (10, 12, 8), order=order, mode="grid-constant"
                )
                for channel in volume[key]
            ]
            np.testing.assert_allclose(patch[key], np.stack(expected), atol=1e-4)
        assert patch["image"].dtype == np.float32
        differing += not np.array_equal(patch["image"], volume["image"][:, :10, :12, :8])
    assert differing == 8


def test_drawn_as_often_and_as_far_as_set_about_the_axes_allowed(tmp_path: Path) -> None:
    sampler = _turning(tmp_path, rotation_probability=0.4, rotation_axes=[2], flip_axes=[])
    maps = [
        np.asarray(draw.box_map)[:, :3] for draw in (sampler.draw(epoch, 0) for epoch in range(300)) if draw.box_map
    ]
    assert 90 < len(maps) < 150
    for linear in maps:
        np.testing.assert_allclose(linear[2], [0, 0, 1], atol=1e-12)
        np.testing.assert_allclose(linear[:2, 2], 0, atol=1e-12)
        assert abs(np.degrees(np.arctan2(linear[1, 0], linear[0, 0]))) <= 30
    scaled = _turning(tmp_path / "two", scaling_probability=1.0, flip_axes=[])
    factors = [np.asarray(scaled.draw(0, index).box_map)[0, 0] for index in range(20)]
    assert min(factors) >= 0.7
    assert max(factors) <= 1.4
    assert max(factors) > 1 > min(factors)


def test_forbidden_axes_are_not_mirrored_by_the_map_either(tmp_path: Path) -> None:
    sampler = _turning(tmp_path, scaling_probability=1.0, flip_probability=1.0, flip_axes=[1])
    for index in range(5):
        diagonal = np.diag(np.asarray(sampler.draw(0, index).box_map)[:, :3])
        assert list(np.sign(diagonal)) == [1, -1, 1]


def test_distance_maps_forbid_what_would_falsify_them(tmp_path: Path) -> None:
    sampler = _turning(tmp_path, rotation_probability=1.0, scaling_probability=1.0)
    still = patch_sampler(sampler.cases, (10, 12, 8), augmentation=sampler.augmentation, allow_resampling=False)
    assert {still.draw(0, index).box_map for index in range(5)} == {None}
    assert {still.draw(0, index).extent for index in range(5)} == {(10, 12, 8)}
