"""Windows lie where MONAI puts them, and every voxel is completed once, by the last window that reaches it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data.utils import dense_patch_slices
from monai.inferers.utils import _get_scan_interval

from mist_bundle.runtime.inferers.windows import NNUNET, Axis, Windows, flip_combinations, gaussian_of_nnunet

shapes = st.tuples(*[st.integers(1, 23)] * 3)
sizes = st.tuples(*[st.integers(1, 9)] * 3)
overlaps = st.sampled_from([0.0, 0.25, 0.5, 0.6, 0.9])


@given(shapes, sizes, overlaps)
def test_windows_are_those_of_monai(shape: tuple[int, ...], size: tuple[int, ...], overlap: float) -> None:
    padded = [max(pair) for pair in zip(shape, size, strict=True)]
    interval = _get_scan_interval(padded, size, 3, (overlap,) * 3)
    halves = [max(length - real, 0) // 2 for length, real in zip(size, shape, strict=True)]
    expected = {
        tuple(part.start - half for part, half in zip(parts, halves, strict=True))
        for parts in dense_patch_slices(padded, size, interval)
    }
    windows = Windows(shape, size, overlap)
    assert {windows.start(window) for window in windows} == expected


axes_to_flip = st.sampled_from([(), (1,), (0, 2), (0, 1, 2)])


@given(shapes, sizes, overlaps, axes_to_flip)
def test_each_layout_has_the_windows_of_the_flipped_image(
    shape: tuple[int, ...], size: tuple[int, ...], overlap: float, flip_axes: tuple[int, ...]
) -> None:
    windows = Windows(shape, size, overlap, flip_axes=flip_axes)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    upright = Windows(shape, size, overlap)
    for layout, axes in enumerate(windows.layouts):
        flipped = np.flip(numbers, axes)
        expected = {np.flip(flipped[_box(upright, window, size)], axes).tobytes() for window in upright}
        own = [window for window in windows if layout in windows.layouts_of(window)]
        assert {numbers[_box(windows, window, size)].tobytes() for window in own} == expected
        assert len(own) == len(list(upright))
    # a cell would be complete too early, or never
    assert all(windows.layouts_of(window) for window in windows)


@given(shapes, sizes, overlaps, axes_to_flip)
def test_every_voxel_is_completed_by_its_last_window(
    shape: tuple[int, ...], size: tuple[int, ...], overlap: float, flip_axes: tuple[int, ...]
) -> None:
    windows = Windows(shape, size, overlap, flip_axes=flip_axes)
    completed = np.zeros(shape, int)
    pending = np.zeros(shape, int)  # windows that are still to come
    for window in windows:
        pending[_box(windows, window, size)] += 1
    seen: set[tuple[int, ...]] = set()
    for window in windows:
        reached = set(windows.reached(window))
        inside = np.zeros(shape, bool)
        for cell in reached:
            inside[windows.box(cell)] = True
        expected = np.zeros(shape, bool)
        expected[_box(windows, window, size)] = True
        np.testing.assert_array_equal(inside, expected)
        pending[_box(windows, window, size)] -= 1
        for cell in windows.completed(window):
            assert (pending[windows.box(cell)] == 0).all()
            completed[windows.box(cell)] += 1
            for axis in range(3):
                before = tuple(number - (axis == place) for place, number in enumerate(cell))
                assert before in seen or cell[axis] == 0, "neighbours on the low sides come first"
            seen.add(cell)
    assert (completed == 1).all()


def test_flip_combinations_are_all_subsets() -> None:
    assert flip_combinations([]) == [()]
    assert sorted(flip_combinations([0, 2])) == [(), (0,), (0, 2), (2,)]
    assert len(flip_combinations([0, 1, 2])) == 8


def _box(windows: Windows, window: tuple[int, int, int], size: tuple[int, ...]) -> tuple[slice, ...]:
    starts = windows.start(window)
    return tuple(slice(max(start, 0), max(start + length, 0)) for start, length in zip(starts, size, strict=True))


@pytest.mark.parametrize("shape", [(10, 20, 30), (30, 20, 10)])
def test_the_longest_axis_is_outermost(shape: tuple[int, int, int]) -> None:
    axis = shape.index(30)
    numbers = [window[axis] for window in Windows(shape, (8, 8, 8), 0.5)]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("length", "size", "starts"),
    [(110, 64, (0, 23, 46)), (64, 64, (0,)), (97, 32, (0, 13, 26, 39, 52, 65)), (40, 64, (-12,))],
)
def test_steps_of_nnunet_are_all_alike(length: int, size: int, starts: tuple[int, ...]) -> None:
    """The first example is the one in nnU-Net's own comments."""
    assert Axis.of(length, size, 0.5, NNUNET).starts == starts


def test_weights_of_nnunet_are_a_gaussian_around_the_upper_middle() -> None:
    weights = gaussian_of_nnunet((8, 6, 5), (0.125,) * 3)
    assert weights[4, 3, 2] == weights.max() == 1
    assert weights.min() > 0
    along = weights[:, 3, 2]
    distances = torch.arange(8) - 4.0
    torch.testing.assert_close(along, torch.exp(-(distances**2) / 2), rtol=0.02, atol=1e-3)
