"""Where the surface of a voxel mask runs and how much area it has there.

The surface is looked at in every 2x2x2 neighbourhood of voxels, hence at voxel corners: the neighbourhood's eight bits
are its code, and a table gives the area in mm² of the marching-cubes surface of each code. The areas are those of
google-deepmind/surface-distance and so of MIST, but are derived here from six base shapes instead of 256 entries.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..numerics.triples import Triple as Corner
from ..numerics.triples import triple

# How marching cubes cuts a connected group of cube corners off from the others: the corners, and the area vectors
# (half the cross product of two sides, absolute values, in voxels) of the triangles between the midpoints of the cut
# edges. Turning or mirroring the cube gives all groups of up to four corners; a group of more is cut off like the rest.
_SHAPES: tuple[tuple[tuple[Corner, ...], tuple[tuple[float, float, float], ...]], ...] = (
    (((0, 0, 0),), ((0.125, 0.125, 0.125),)),
    (((0, 0, 0), (1, 0, 0)), ((0, 0.5, 0.5),)),
    (((0, 0, 0), (1, 0, 0), (0, 1, 0)), ((0.125, 0.125, 0.125), (0.25, 0.25, 0.25), (0, 0, 0.5))),
    (((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)), ((0, 0, 1),)),
    (((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)), ((0.75, 0.75, 0.75),)),
    (
        ((1, 0, 0), (0, 0, 0), (0, 1, 0), (0, 1, 1)),
        ((0.375, 0.375, 0.375), (0, 0.25, 0.25), (0.125, 0.125, 0.125), (0.25, 0.25, 0)),
    ),
)
_CORNERS: tuple[Corner, ...] = tuple(itertools.product((0, 1), repeat=3))  # type: ignore[arg-type]
EMPTY_CODE, FULL_CODE = 0, 255


def neighbour_codes(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The code of every 2x2x2 neighbourhood of a mask that ends where the array ends.

    Args:
        mask: (X, Y, Z).

    Returns:
        (X + 1, Y + 1, Z + 1); entry (i, j, k) looks at the voxels i-1 and i, j-1 and j, k-1 and k.
    """
    padded = np.pad(mask.view(np.uint8), 1)
    along_z = padded[:, :, :-1] | padded[:, :, 1:] << 1
    along_y = along_z[:, :-1] | along_z[:, 1:] << 2
    return np.asarray(along_y[:-1] | along_y[1:] << 4, dtype=np.uint8)


def surface_areas(spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    """The area in mm² of the surface inside a neighbourhood, for each of the 256 codes; not to be changed."""
    return _areas(*map(float, spacing_mm))


@lru_cache(maxsize=32)
def _areas(x: float, y: float, z: float) -> NDArray[np.float64]:
    to_mm2 = np.array((y * z, x * z, x * y))
    areas = np.zeros(FULL_CODE + 1)
    for code, vectors in enumerate(_area_vectors()):
        areas[code] = np.linalg.norm(vectors * to_mm2, axis=1).sum()
    return areas


def _code(corners: frozenset[Corner]) -> int:
    code = 0
    for x, y, z in corners:
        code |= 1 << (4 * x + 2 * y + z)
    return code


def _turned_shapes() -> dict[frozenset[Corner], NDArray[np.float64]]:
    """The area vectors of every connected group of up to four corners."""
    groups = {}
    for corners, vectors in _SHAPES:
        for axes in itertools.permutations(range(3)):
            turned_vectors = np.array(vectors)[:, axes]
            for flips in itertools.product((0, 1), repeat=3):
                turned_corners = np.array(corners)[:, axes] ^ flips
                groups[frozenset(map(triple, turned_corners))] = turned_vectors
    return groups


def _connected_groups(corners: frozenset[Corner]) -> list[frozenset[Corner]]:
    """Split corners into groups that hang together along edges of the cube."""
    left = set(corners)
    groups = []
    while left:
        group: set[Corner] = set()
        edge = [left.pop()]  # corners whose neighbours are still to be looked at
        while edge:
            corner = edge.pop()
            group.add(corner)
            neighbours = left.intersection(_neighbours(corner))
            left -= neighbours
            edge += neighbours
        groups.append(frozenset(group))
    return groups


def _neighbours(corner: Corner) -> list[Corner]:
    """The three corners that share an edge of the cube with a corner."""
    x, y, z = corner
    return [(1 - x, y, z), (x, 1 - y, z), (x, y, 1 - z)]


@cache
def _area_vectors() -> list[NDArray[np.float64]]:
    """For each code the area vectors of its triangles, in voxels: (n, 3)."""
    shapes = _turned_shapes()
    vectors: list[NDArray[np.float64]] = [np.zeros((0, 3))] * 256
    for number in range(5):
        for chosen in itertools.combinations(_CORNERS, number):
            corners = frozenset(chosen)
            parts = [shapes[group] for group in _connected_groups(corners)]
            code = _code(corners)
            vectors[code] = vectors[FULL_CODE - code] = np.concatenate([np.zeros((0, 3)), *parts])
    return vectors
