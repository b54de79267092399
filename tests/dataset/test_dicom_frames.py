"""Which slices make a volume, for any orientation, spacing and number of slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mist_bundle.dataset.dicom_frames import Frame, affine_of, findings_about, sorted_frames

ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)
GAPS = st.floats(0.3, 10)


def _frames(angles: tuple[float, float, float], gap: float, count: int) -> list[Frame]:
    """Slices side by side, in a shuffled order; the names tell the true order."""
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    frames = []
    for index in np.random.default_rng(count).permutation(count).tolist():
        position = np.array([5.0, -7.0, 11.0]) + index * gap * matrix[:, 2]
        frames.append(Frame(Path(f"{index:03d}"), None, position, matrix[:, :2].T, (0.8, 0.6), (12, 10), gap, True))
    return frames


@settings(max_examples=60, deadline=None)
@given(angles=ANGLES, gap=GAPS, count=st.integers(1, 40))
def test_even_slices_are_a_volume(angles: tuple[float, float, float], gap: float, count: int) -> None:
    frames = _frames(angles, gap, count)
    assert not findings_about(frames)
    ordered = sorted_frames(frames)
    assert [int(frame.name) for frame in ordered] == list(range(count))
    affine = affine_of(ordered)
    for index, frame in enumerate(ordered):
        first = affine @ [0, 0, index, 1]
        assert np.allclose(first[:3] * [-1, -1, 1], frame.position_mm, atol=1e-6)
    assert np.allclose(np.linalg.norm(affine[:3, :3], axis=0), [0.6, 0.8, gap])  # columns lie along a row
    assert np.linalg.det(affine[:3, :3]) > 0


@settings(max_examples=40, deadline=None)
@given(angles=ANGLES, gap=GAPS, count=st.integers(5, 30), seed=st.integers(0, 99))
def test_a_slice_that_is_gone_doubled_or_moved_is_found(
    angles: tuple[float, float, float], gap: float, count: int, seed: int
) -> None:
    frames = sorted_frames(_frames(angles, gap, count))
    inner = 1 + seed % (count - 2)
    assert "1 missing" in findings_about(frames[:inner] + frames[inner + 1 :])[0].what
    assert "lie at the same place" in findings_about([*frames, frames[inner]])[0].what
    moved = replace(frames[inner], position_mm=frames[inner].position_mm + 0.2 * gap * frames[0].normal)
    uneven = [*frames[:inner], moved, *frames[inner + 1 :]]
    assert "unevenly spaced" in findings_about(uneven)[0].what
    aside = replace(frames[inner], position_mm=frames[inner].position_mm + 0.5 * frames[0].cosines[0])
    beside = [*frames[:inner], aside, *frames[inner + 1 :]]
    assert f"{frames[inner].name} lies 0.50 mm beside the line" in findings_about(beside)[0].what
    for resampled in (frames[:inner] + frames[inner + 1 :], uneven, beside):
        assert not findings_about(resampled, resample=True)
    assert findings_about([*frames, frames[inner]], resample=True)


@given(shift=st.floats(-0.04, 0.04))
def test_less_than_a_tenth_is_rounding(shift: float) -> None:
    frames = sorted_frames(_frames((10, 20, 30), 2.0, 9))
    moved = replace(frames[4], position_mm=frames[4].position_mm + 2.0 * shift * frames[0].normal)
    assert not findings_about([*frames[:4], moved, *frames[5:]])


def test_the_list_of_findings_is_short() -> None:
    frames = sorted_frames(_frames((0, 0, 0), 2.0, 60))
    findings = findings_about([frame for index, frame in enumerate(frames) if index % 4])
    assert len(findings) == 9
    assert str(findings[-1]) == "6 more findings of this kind."


@pytest.mark.parametrize("count", [2, 5])
def test_slices_at_the_same_place_only(count: int) -> None:
    frame = _frames((0, 0, 0), 2.0, 1)[0]
    (finding,) = findings_about([frame] * count)
    assert str(finding) == f"its {count} slices lie at the same place. Give a series of slices side by side."
