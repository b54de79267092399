"""Conditions that the files of a case must meet before it can be used for training.

MIST makes these checks silently and only on request. Here they always run, tolerate header rounding, and report which
field differs by how much. Each function returns a list of findings, empty if the files are sound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.volumes import Volume
from mist_bundle.runtime.numerics.labels import as_labels, not_labels
from mist_bundle.runtime.wording import counted, list_names

_MAX_LABEL_RANGE = 1 << 16
_MAX_BROKEN_VALUES = 1000  # of an interpolated mask; millions would fill the memory and help nobody


def check_headers(reference: Volume, other: Volume) -> list[str]:
    """Check that two files describe the same grid, stored in the same order.

    Grids are equal if no corner lies further apart than a tenth of the smallest voxel side, or 0.001 mm.

    Args:
        reference: first image of the case.
        other: another image, or the label, in the storage order of the reference (`Volume.on_grid_of`).

    Returns:
        At most 1 finding, which names the fields that differ (shape, spacing, origin, direction) and by how much.
    """
    finding = other.grid_finding(reference)
    return [finding] if finding else []


def check_voxels(volume: Volume) -> list[str]:
    """Check that every voxel is a finite number, also as float32, the type that training computes with."""
    lowest, highest = volume.array.min(), volume.array.max()
    # NaN propagates through both, so two cheap passes without a temporary array suffice for a sound image
    if np.isfinite(_as_float32(lowest)) and np.isfinite(_as_float32(highest)):
        return []
    num_nan = int(np.isnan(volume.array).sum())
    num_infinite = int(np.isinf(volume.array).sum())
    if not num_nan and not num_infinite:
        largest = max(abs(float(lowest)), abs(float(highest)))
        return [f"{volume.name} holds values up to {largest:.3g}, beyond what float32 can hold. Rescale them."]
    kinds = []
    if num_nan:
        kinds.append(f"{num_nan} NaN")
    if num_infinite:
        kinds.append(f"{num_infinite} infinite")
    where = np.argwhere(~np.isfinite(volume.array))[0].tolist()
    return [
        f"{volume.name} holds {' and '.join(kinds)} voxels, the first at index {where}. "
        "Replace them by a number, such as 0."
    ]


def _as_float32(value: Any) -> np.float32:
    with np.errstate(over="ignore"):
        return np.float32(value)


def count_labels(array: NDArray[Any]) -> dict[float, int]:
    """Count the voxels of each value.

    Floating-point masks hold whole numbers by the rule of `as_labels`. If some values are not labels, all values are
    counted as they are (0.5 is a value of its own), but at most the first thousand that are not labels.

    Returns:
        Value -> number of voxels, sorted by value, NaN last. Whole numbers have type int.
    """
    whole = as_labels(array)
    if whole.dtype.kind == "f":
        return _count_broken(array)
    flat = whole.ravel(order="K")  # in memory order, which is irrelevant for counting but faster
    foreground = flat[flat != 0]
    counts: dict[float, int] = {}
    if foreground.size < array.size:
        counts[0] = int(array.size - foreground.size)
    if foreground.size:
        counts.update(_count_whole(foreground))
    return dict(sorted(counts.items()))


def _count_whole(values: NDArray[Any]) -> dict[float, int]:
    low, high = int(values.min()), int(values.max())
    if high - low >= _MAX_LABEL_RANGE:
        distinct, numbers = np.unique(values, return_counts=True)
        return dict(zip(distinct.tolist(), numbers.tolist(), strict=True))
    # counting by index needs no sort and is several times faster than np.unique
    histogram = np.bincount(values.astype(np.int64) - low)
    present = np.flatnonzero(histogram)
    return dict(zip((present + low).tolist(), histogram[present].tolist(), strict=True))


def _count_broken(array: NDArray[Any]) -> dict[float, int]:
    """Counts of an array that holds values which are not labels."""
    broken = not_labels(array)
    counts: dict[float, int] = {}
    labels, numbers = np.unique(as_labels(array[~broken]), return_counts=True)
    for label, number in zip(labels.tolist(), numbers.tolist(), strict=True):
        counts[int(label)] = number
    values, numbers = np.unique(array[broken], return_counts=True)
    for value, number in zip(values[:_MAX_BROKEN_VALUES], numbers[:_MAX_BROKEN_VALUES], strict=True):
        counts[float(value)] = int(number)
    return dict(sorted(counts.items(), key=lambda item: (np.isnan(item[0]), item[0])))


def check_label_values(counts: Mapping[float, int], labels: Sequence[int], name: str) -> list[str]:
    """Check that a label file holds only labels of the dataset.

    Args:
        counts: voxels by value, from `count_labels`.
        labels: label values that dataset.json lists.
        name: name of the file, for the message.

    Returns:
        A finding for values that are not whole numbers and a finding for labels that are not listed.
    """
    broken: list[float] = []
    unknown: list[float] = []
    for value in counts:
        if not isinstance(value, int):
            broken.append(value)
        elif value not in labels:
            unknown.append(value)
    findings = []
    if broken:
        findings.append(
            f"{name} holds {_listed(broken, counts)}; labels must be whole numbers. "
            "Was it resampled with interpolation?"
        )
    if unknown:
        findings.append(
            f"{name} holds the label {_listed(unknown, counts)}, but dataset.json lists {list(labels)}. "
            'Add it to "labels" or repair the file.'
        )
    return findings


def _listed(values: Sequence[float], counts: Mapping[float, int]) -> str:
    """Values with their numbers of voxels, as a list of limited length."""
    parts: list[str] = []
    for value in values:
        number = str(value) if isinstance(value, int) else f"{value:.6g}"
        parts.append(f"{number} ({counted(counts[value], 'voxel')})")
    return list_names(parts)
