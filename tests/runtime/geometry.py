"""Grids and volumes for the geometry tests: every orientation, oblique directions, uneven spacings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

#: All 48 ways in which array axes can run along world axes: (permutation, signs).
ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def rotation(degrees_xyz: tuple[float, float, float]) -> NDArray[np.float64]:
    """3x3 rotation about x, then y, then z."""
    result = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees_xyz)):
        first, second = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


def make_affine(
    orientation: Any,
    spacing_mm: tuple[float, float, float],
    degrees_xyz: tuple[float, float, float] = (0, 0, 0),
    origin_mm: tuple[float, float, float] = (-17.3, 42.9, 5.1),
) -> NDArray[np.float64]:
    """Affine whose array axis k runs along world axis permutation[k], with sign signs[k], and is then turned."""
    permutation, signs = orientation
    direction = np.zeros((3, 3))
    for axis in range(3):
        direction[permutation[axis], axis] = signs[axis]
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees_xyz) @ direction * np.asarray(spacing_mm)
    affine[:3, 3] = origin_mm
    return affine


orientations = st.sampled_from(ORIENTATIONS)
spacings = st.tuples(*[st.floats(0.5, 6.0).map(lambda value: round(value, 2))] * 3)
# Below 20 degrees about each axis it stays clear which axis is which.
obliques = st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(*[st.floats(-20, 20)] * 3))


def shape_for(spacing_mm: tuple[float, float, float], extent_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Voxels needed to cover an extent."""
    x, y, z = (max(2, round(extent / spacing)) for extent, spacing in zip(extent_mm, spacing_mm, strict=True))
    return x, y, z


def two_organs(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.uint8]:
    """A label map with an ellipsoid of class 1 and a smaller one of class 2, both well inside and off the centre."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in shape], indexing="ij"))
    label = np.zeros(shape, dtype=np.uint8)
    for index, radius in ((1, 0.3), (2, 0.17)):
        centre = 0.5 + rng.uniform(-0.12, 0.12, size=3)
        radii = radius * rng.uniform(0.8, 1.2, size=3)
        distance = (((grid - centre[:, None, None, None]) / radii[:, None, None, None]) ** 2).sum(axis=0)
        label[distance <= 1] = index
    return label


def dice(first: NDArray[Any], second: NDArray[Any], value: int) -> float:
    """Dice of one label value; 1 when neither holds it."""
    a, b = first == value, second == value
    total = int(a.sum() + b.sum())
    return 1.0 if total == 0 else 2 * int((a & b).sum()) / total
