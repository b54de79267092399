"""Look at the images of a case before a network sees them: a broken file is named instead of getting a prediction."""

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
    """What a case without a label is like.

    Attributes:
        digests: channel -> hash of its voxels, which copies of a scan share; "" for constant images.
        oddities: what deserves a look although a prediction can be made: headers, blank images.
    """

    digests: Mapping[str, str]
    oddities: tuple[str, ...]


def examine(case: Case) -> Examined:
    """Read the images of a case once and look at them.

    Raises:
        InputError: an image is unreadable, truncated, holds NaN, or lies on another grid than the first; all at once.
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
    oddities = [warning for volume in volumes.values() for warning in volume.warnings]
    oddities += [
        f"{volume.name} is constant ({volume.array.min():g} everywhere). Look at it."
        for volume in volumes.values()
        if volume.array.min() == volume.array.max()
    ]
    return Examined(
        digests={name: scan_digest(volume.array, volume.affine) for name, volume in volumes.items()},
        oddities=tuple(dict.fromkeys(oddities)),
    )
