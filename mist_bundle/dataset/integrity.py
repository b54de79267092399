"""What must hold between the files of one case before it may be trained on.

MIST makes these checks on request and silently; here they always run, tolerate what header rounding does, and say
which field differs by how much. Each function returns findings, one sentence each; none means that all is well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.volumes import Volume
from mist_bundle.runtime.numerics.labels import as_labels, not_labels

_MAX_LABEL_RANGE = 1 << 16
_MAX_BROKEN_VALUES = 1000  # of a mask that was interpolated; millions would fill the memory and help nobody
_MAX_NAMED_VALUES = 8


def check_headers(reference: Volume, other: Volume) -> list[str]:
    """Whether two files describe the same grid, stored in the same order.

    The grids are the same when no corner lies further apart than a tenth of the smallest voxel side, or 0.001 mm.

    Args:
        reference: the first image of the case.
        other: another image, or the label, in the storage order of the reference (`Volume.on_grid_of`).

    Returns:
        At most one finding, which names the fields that differ (shape, spacing, origin, direction) and by how much.
    """
    finding = other.grid_finding(reference)
    return [finding] if finding else []


def check_voxels(volume: Volume) -> list[str]:
    """Whether every voxel is a finite number, as float32 too, which is what training computes with."""
    # NaN wins in both, so two cheap passes without a temporary array tell that all is well
    if np.isfinite(_as_float32(volume.array.min())) and np.isfinite(_as_float32(volume.array.max())):
        return []
    num_nan = int(np.isnan(volume.array).sum())
    num_infinite = int(np.isinf(volume.array).sum())
    if not num_nan and not num_infinite:
        largest = max(abs(float(volume.array.min())), abs(float(volume.array.max())))
        return [f"{volume.name} holds values up to {largest:.3g}, beyond what float32 can hold. Rescale them."]
    where = np.argwhere(~np.isfinite(volume.array))[0].tolist()
    found = " and ".join(f"{count} {name}" for count, name in ((num_nan, "NaN"), (num_infinite, "infinite")) if count)
    return [f"{volume.name} holds {found} voxels, the first at index {where}. Replace them by a number, such as 0."]


def _as_float32(value: Any) -> np.float32:
    with np.errstate(over="ignore"):
        return np.float32(value)


def count_labels(array: NDArray[Any]) -> dict[float, int]:
    """How many voxels have each value, sorted by value; whole numbers are given as int, NaN last.

    Labels stored as floating point are whole numbers by the rule of `as_labels`; where a value is none, all are counted
    as they are, the first thousand that are no labels: 0.5 is a value of its own.
    """
    whole = as_labels(array)
    if whole.dtype.kind == "f":
        return _count_broken(array)
    flat = whole.ravel(order="K")  # as it lies in memory: the order does not matter here, but the speed does
    foreground = flat[flat != 0]
    counts: dict[float, int] = {}
    if foreground.size < array.size:
        counts[0] = int(array.size - foreground.size)
    if foreground.size:
        low, high = int(foreground.min()), int(foreground.max())
        if high - low < _MAX_LABEL_RANGE:
            numbers = np.bincount(foreground.astype(np.int64) - low)
            counts.update({int(index) + low: int(numbers[index]) for index in np.flatnonzero(numbers)})
        else:
            values, numbers = np.unique(foreground, return_counts=True)
            counts.update({int(value): int(number) for value, number in zip(values, numbers, strict=True)})
    return dict(sorted(counts.items()))


def _count_broken(array: NDArray[Any]) -> dict[float, int]:
    broken = not_labels(array)
    good, numbers = np.unique(as_labels(array[~broken]), return_counts=True)
    counts: dict[float, int] = {int(value): int(number) for value, number in zip(good, numbers, strict=True)}
    values, numbers = np.unique(array[broken], return_counts=True)
    for value, number in zip(values[:_MAX_BROKEN_VALUES], numbers[:_MAX_BROKEN_VALUES], strict=True):
        counts[float(value)] = int(number)
    return dict(sorted(counts.items(), key=lambda item: (np.isnan(item[0]), item[0])))


def check_label_values(counts: Mapping[float, int], labels: Sequence[int], name: str) -> list[str]:
    """Whether a label file holds only labels of the dataset.

    Args:
        counts: voxels by value, from `count_labels`.
        labels: the label values that dataset.json lists.
        name: the file's name, for the message.

    Returns:
        A finding for values that are no whole numbers and one for labels that are not listed, each naming them.
    """
    broken = [value for value in counts if not isinstance(value, int)]
    unknown = [value for value in counts if isinstance(value, int) and value not in labels]
    findings = []
    if broken:
        message = (
            f"{name} holds {_named(broken, counts)}; labels must be whole numbers. Was it resampled with interpolation?"
        )
        findings.append(message)
    if unknown:
        findings.append(
            f"{name} holds the label {_named(unknown, counts)}, but dataset.json lists {list(labels)}. "
            'Add it to "labels" or repair the file.'
        )
    return findings


def _named(values: Sequence[float], counts: Mapping[float, int]) -> str:
    named = ", ".join(f"{value:.6g} ({counts[value]} voxels)" for value in values[:_MAX_NAMED_VALUES])
    return named + (f" and {len(values) - _MAX_NAMED_VALUES} other values" if len(values) > _MAX_NAMED_VALUES else "")
