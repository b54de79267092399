"""Uneven and tilted slices become the volume that they are slices of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mist_bundle.dataset.dicom_frames import Frame, affine_of, findings_about
from mist_bundle.dataset.dicom_resampling import EvenSlices, even_slices

SHAPE = (9, 8)  # rows, columns
GRADIENT, OFFSET = np.array([0.7, -1.1, 0.4]), 25.0
FILL = -1000.0


def _frames(heights: NDArray[np.float64], tilt: tuple[float, float] = (0.0, 0.0)) -> list[Frame]:
    """Slices in an oblique plane at heights above the first, shifted sideways by the tilt (mm a mm of height)."""
    matrix = Rotation.from_euler("xyz", (20, -35, 50), degrees=True).as_matrix()
    frames = []
    for index, height in enumerate(heights):
        position = np.array([5.0, -7.0, 11.0]) + height * (matrix @ [*tilt, 1.0])
        frames.append(Frame(Path(f"{index:03d}"), None, position, matrix[:, :2].T, (0.8, 0.6), SHAPE, 2.0, True))
    return frames


def _values(frame: Frame) -> NDArray[np.float32]:
    """A linear function of the place in the patient, on a slice: (columns, rows)."""
    columns, rows = np.indices(SHAPE[::-1])
    places = frame.position_mm + columns[..., None] * 0.6 * frame.cosines[0] + rows[..., None] * 0.8 * frame.cosines[1]
    return (places @ GRADIENT + OFFSET).astype(np.float32)


def _expected(grid: EvenSlices) -> NDArray[np.float64]:
    indices = np.indices(grid.shape).reshape(3, -1)
    places = (grid.affine @ np.vstack([indices, np.ones(indices.shape[1])]))[:3] * np.array([[-1], [-1], [1]])
    return (GRADIENT @ places + OFFSET).reshape(grid.shape)


@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.floats(0.5, 6.0), min_size=2, max_size=12),
    tilt=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)
def test_a_linear_function_is_itself_where_slices_reach(gaps: list[float], tilt: tuple[float, float]) -> None:
    frames = _frames(np.cumsum([0.0, *gaps]), tilt)
    grid = even_slices(frames)
    volume = grid.resample(map(_values, frames), FILL)
    whole = grid.resample([np.zeros(SHAPE[::-1], np.float32)] * len(frames), 1.0) == 0  # every neighbour reaches there
    assert np.allclose(volume[whole], _expected(grid)[whole], atol=1e-3)
    if max(map(abs, tilt)) * sum(gaps) < 0.6:  # less than a pixel: the inner part is covered
        assert whole[2:-2, 2:-2].all()


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.0, 0.3), (-0.2, 0.1)])
def test_even_slices_stay_as_they_are(tilt: tuple[float, float]) -> None:
    frames = _frames(np.arange(7) * 2.0, tilt)
    grid = even_slices(frames)
    volume = grid.resample(map(_values, frames), FILL)
    assert grid.step_mm == pytest.approx(2.0)
    assert grid.shape[2] == 7
    if tilt == (0.0, 0.0):
        assert not findings_about(frames)
        assert np.allclose(grid.affine, affine_of(frames))
        assert np.allclose(volume, np.stack(list(map(_values, frames)), axis=-1))


def test_a_missing_slice_is_the_mean_of_its_neighbours() -> None:
    frames = _frames(np.array([0.0, 2.0, 6.0, 8.0]))
    rng = np.random.default_rng(0)
    slices = [rng.normal(size=SHAPE[::-1]).astype(np.float32) for _ in frames]
    volume = even_slices(frames).resample(slices, FILL)
    assert np.allclose(volume[..., [0, 1, 3, 4]], np.stack(slices, axis=-1), atol=1e-5)
    assert np.allclose(volume[..., 2], (slices[1] + slices[2]) / 2, atol=1e-5)


def test_labels_return_to_the_slices_of_a_tilted_gantry() -> None:
    frames = _frames(np.array([0.0, 2.0, 4.0, 8.0, 10.0]), (0.1, 0.25))
    grid = even_slices(frames)
    # where a voxel of the grid is, as its label
    columns, rows, numbers = np.indices(grid.shape)
    for index, frame in enumerate(frames):
        for axis, found in enumerate((columns, rows, numbers)):
            labels = grid.on_slice(found.astype(np.uint8), index, SHAPE[::-1])
            assert labels.shape == SHAPE[::-1]
            at = np.indices(SHAPE[::-1])
            places = frame.position_mm + at[0][..., None] * 0.6 * frame.cosines[0]
            places = places + at[1][..., None] * 0.8 * frame.cosines[1]
            ras = places * [-1, -1, 1]
            exact = (ras - grid.affine[:3, 3]) @ np.linalg.inv(grid.affine[:3, :3]).T
            assert np.abs(labels - exact[..., axis]).max() <= 0.5 + 1e-6


def test_a_slice_beside_the_others_is_put_back() -> None:
    frames = _frames(np.arange(5) * 2.0)
    frames[2] = replace(frames[2], position_mm=frames[2].position_mm + 1.2 * frames[2].cosines[0])
    grid = even_slices(frames)
    volume = grid.resample(map(_values, frames), FILL)
    inner = np.s_[2:8, :, :]
    assert np.allclose(volume[inner], _expected(grid)[inner], atol=1e-3)
