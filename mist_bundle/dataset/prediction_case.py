"""Check the images of a case before a network sees them, so a broken file is reported instead of predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.integrity import check_headers, check_voxels
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.numerics.digest import scan_digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What the images of a case showed.

    Attributes:
        digests: channel -> hash of its voxels, equal for copies of a scan; "" for constant images.
        oddities: remarks that do not prevent a prediction: headers, blank images.
    """

    digests: Mapping[str, str]
    oddities: tuple[str, ...]


def examine(case: Case) -> Examined:
    """Read the images of a case once and check them.

    Raises:
        InputError: an image is unreadable, truncated, holds NaN, or lies on another grid than the first; reports all
            of them at once.
    """
    problems: list[Problem] = []
    volumes: dict[str, Volume] = {}
    for name, path in case.images.items():
        try:
            volumes[name] = read_volume(path)
        except InputError as error:
            problems += error.problems
    for name, volume in volumes.items():
        problems += [Problem(name, finding) for finding in check_voxels(volume)]
    for name, other in volumes.items():
        first = next(iter(volumes.values()))
        problems += [Problem(name, finding) for finding in check_headers(first, other.on_grid_of(first))]
    if problems or not volumes:
        raise InputError(problems or [Problem(case.id, "has no image.")])
    return _examined(volumes)


def _examined(volumes: Mapping[str, Volume]) -> Examined:
    digests: dict[str, str] = {}
    oddities: list[str] = []
    for name, volume in volumes.items():
        digests[name] = scan_digest(volume.array, volume.affine)
        oddities += volume.warnings
        lowest = volume.array.min()
        if lowest == volume.array.max():
            oddities.append(f"{volume.name} is constant ({lowest:g} everywhere). Look at it.")
    return Examined(digests=digests, oddities=tuple(dict.fromkeys(oddities)))
