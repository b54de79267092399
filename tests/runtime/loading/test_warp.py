"""Turned and scaled patches against scipy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from mist_bundle.runtime.loading.affine import Box, linear_map, place
from mist_bundle.runtime.loading.patches import PatchDraw
from mist_bundle.runtime.loading.warp import warp, warp_patch

SIZE = (12, 9, 15)
NO_TURN = (0.0, 0.0, 0.0)


def box_of(degrees: Sequence[float], scale: Sequence[float], flips: Sequence[bool], u: Sequence[float]) -> Box:
    return place(linear_map(degrees, scale, flips, (1.0, 0.9, 2.0)), SIZE, (30, 33, 31), None, u)


def by_scipy(array: np.ndarray, box: Box, order: int) -> np.ndarray:
    matrix = np.asarray(box.map)
    channels = []
    for channel in array.astype(np.float64):
        channels.append(affine_transform(channel, matrix[:, :3], matrix[:, 3], SIZE, order=order))
    return np.stack(channels)


@settings(max_examples=60, deadline=None)
@given(
    degrees=st.one_of(st.just(NO_TURN), st.tuples(*[st.floats(-180, 180)] * 3)),
    scale=st.tuples(*[st.floats(0.5, 1.5)] * 3),
    flips=st.tuples(*[st.booleans()] * 3),
    u=st.tuples(*[st.floats(0, 0.999)] * 3),
)
def test_patches_are_scipys(
    degrees: tuple[float, ...], scale: tuple[float, ...], flips: tuple[bool, ...], u: tuple[float, ...]
) -> None:
    box = box_of(degrees, scale, flips, u)
    image = np.random.default_rng(0).normal(size=(2, *box.extent)).astype(np.float32)
    # a ramp along each axis shows which voxel was taken, and a tie is off by a single step
    ramp = np.stack(np.meshgrid(*map(np.arange, box.extent), indexing="ij")).astype(np.int16)
    assert box.map is not None
    np.testing.assert_allclose(warp(image, box.map, SIZE, order=1), by_scipy(image, box, 1), atol=2e-4)
    taken, expected = warp(ramp, box.map, SIZE, order=0), by_scipy(ramp, box, 0)
    assert np.abs(taken - expected).max() <= 1
    matrix = np.asarray(box.map)
    positions = np.einsum("ij,jxyz->ixyz", matrix[:, :3], np.indices(SIZE)) + matrix[:, 3, None, None, None]
    assert np.abs(taken - positions).max() <= 0.5 + 1e-4
    assert taken.dtype == ramp.dtype


@pytest.mark.parametrize("degrees", [NO_TURN, (20.0, 0.0, -10.0)])
def test_arrays_without_order_in_memory_give_the_same(degrees: tuple[float, ...]) -> None:
    box = box_of(degrees, (1.2, 1.2, 1.2), (True, False, False), (0.1, 0.5, 0.9))
    image = np.random.default_rng(1).normal(size=(2, *box.extent)).astype(np.float32)
    label = (image[:1] > 0).astype(np.uint8)
    assert box.map is not None
    for array, order in ((image, 1), (label, 0)):
        turned = np.asfortranarray(array)
        turned.flags.writeable = False
        np.testing.assert_array_equal(warp(turned, box.map, SIZE, order), warp(array, box.map, SIZE, order))


def test_the_draw_of_a_warped_patch_has_the_rest_left_to_do() -> None:
    box = box_of((20.0, 0.0, -10.0), (1.0, 1.0, 1.0), (False, False, False), (0.1, 0.5, 0.9))
    draw = PatchDraw(
        case=0,
        start=box.start,
        extent=box.extent,
        flips=(False, True, False),
        noise_sd=0.1,
        noise_offset=3,
        blur_sigma=0.5,
        brightness=1.1,
        contrast=0.9,
        box_map=box.map,
    )
    arrays = {"image": np.ones((1, *box.extent), np.float32), "label": np.ones((1, *box.extent), np.uint8)}
    patch, rest = warp_patch(arrays, draw, SIZE)
    assert patch["image"].shape == patch["label"].shape == (1, *SIZE)
    assert (rest.box_map, rest.extent, rest.noise_sd, rest.gamma) == (None, SIZE, 0.1, 1.0)
    again, unchanged = warp_patch(patch, rest, SIZE)
    assert unchanged is rest
    np.testing.assert_array_equal(again["image"], patch["image"])
