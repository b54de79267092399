"""What must hold between the files of one case before it may be trained on.

MIST makes these checks on request and silently; here they always run, tolerate what header rounding does, and say
which field differs by how much. Each function returns findings, one sentence each; none means that all is well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.volumes import Volume, corner_distance

# Headers store float32 and tools round differently: differences far below a voxel are no misalignment.
TOLERANCE_MM = 1e-3
TOLERANCE_VOXELS = 0.01

_MAX_LABEL_RANGE = 1 << 16
_MAX_NAMED_VALUES = 8


def check_headers(reference: Volume, other: Volume) -> list[str]:
    """Whether two files describe the same grid.

    The grids are the same when no corner lies further apart than a hundredth of the smallest voxel side, or 0.001 mm.

    Args:
        reference: the first image of the case.
        other: another image, or the label.

    Returns:
        At most one finding, which names the fields that differ (shape, spacing, origin, direction) and by how much.
    """
    both = f"{other.name} does not lie on the grid of {reference.name}"
    if reference.shape != other.shape:
        return [f"{both}: its shape is {other.shape}, expected {reference.shape}. Resample one of the two."]
    spacing = np.linalg.norm(reference.affine[:3, :3], axis=0)
    apart = corner_distance(reference.affine, other.affine, reference.shape)
    tolerance = max(TOLERANCE_MM, TOLERANCE_VOXELS * float(spacing.min()))
    if apart <= tolerance:
        return []
    fields = ", ".join(_differing_fields(reference.affine, other.affine, reference.shape, tolerance))
    return [
        f"{both}: {fields}; voxels lie up to {apart:.4g} mm apart (tolerance {tolerance:.2g} mm). Repair its header."
    ]


def check_voxels(volume: Volume) -> list[str]:
    """Whether every voxel is a finite number."""
    # NaN wins in both, so two cheap passes without a temporary array tell that all is well
    if np.isfinite(volume.array.min()) and np.isfinite(volume.array.max()):
        return []
    num_nan = int(np.isnan(volume.array).sum())
    num_infinite = int(np.isinf(volume.array).sum())
    where = np.argwhere(~np.isfinite(volume.array))[0].tolist()
    found = " and ".join(f"{count} {name}" for count, name in ((num_nan, "NaN"), (num_infinite, "infinite")) if count)
    return [f"{volume.name} holds {found} voxels, the first at index {where}. Replace them by a number, such as 0."]


def count_labels(array: NDArray[Any]) -> dict[float, int]:
    """How many voxels have each value, sorted by value; whole numbers are given as int, NaN last.

    Labels stored as floating point are counted as they are: 0.5 is a value of its own.
    """
    flat = array.ravel(order="K")  # as it lies in memory: the order does not matter here, but the speed does
    foreground = flat[flat != 0]  # NaN included
    counts: dict[float, int] = {}
    if foreground.size < array.size:
        counts[0] = int(array.size - foreground.size)
    if foreground.size:
        low, high = foreground.min().item(), foreground.max().item()
        if np.isfinite(low) and np.isfinite(high) and float(low).is_integer() and high - low < _MAX_LABEL_RANGE:
            shifted = foreground.astype(np.int64) - int(low)
            if array.dtype.kind in "iu" or np.array_equal(shifted + int(low), foreground):
                numbers = np.bincount(shifted)
                counts.update({int(index) + int(low): int(numbers[index]) for index in np.flatnonzero(numbers)})
                return dict(sorted(counts.items()))
        values, numbers = np.unique(foreground, return_counts=True)
        counts.update({_plain(value): int(number) for value, number in zip(values, numbers, strict=True)})
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


def _plain(value: float) -> float:
    return int(value) if np.isfinite(value) and float(value).is_integer() else float(value)


def _named(values: Sequence[float], counts: Mapping[float, int]) -> str:
    named = ", ".join(f"{value:.6g} ({counts[value]} voxels)" for value in values[:_MAX_NAMED_VALUES])
    return named + (f" and {len(values) - _MAX_NAMED_VALUES} other values" if len(values) > _MAX_NAMED_VALUES else "")


def _differing_fields(
    reference: NDArray[np.float64], other: NDArray[np.float64], shape: Sequence[int], tolerance: float
) -> list[str]:
    """The parts of the affine that matter, each with both values or the difference."""
    spacings = [np.linalg.norm(affine[:3, :3], axis=0) for affine in (reference, other)]
    shift = other[:3, 3] - reference[:3, 3]
    directions = [affine[:3, :3] / spacing for affine, spacing in zip((reference, other), spacings, strict=True)]
    extent = max(shape)
    fields = []
    if np.abs(spacings[0] - spacings[1]).max() * extent > tolerance / 2:
        fields.append(f"its spacing is {_vector(spacings[1])} mm, expected {_vector(spacings[0])} mm")
    if np.abs(directions[0] - directions[1]).max() * extent * float(spacings[0].max()) > tolerance / 2:
        # the chord between two unit vectors, which stays exact where the arc cosine of their product does not
        chord = np.linalg.norm(directions[0] - directions[1], axis=0).max()
        angle = 2 * np.degrees(np.arcsin(min(1.0, chord / 2)))
        fields.append(f"its direction is turned by {angle:.3g} degrees")
    if np.abs(shift).max() > tolerance / 2 or not fields:
        fields.append(f"its origin is shifted by {_vector(shift)} mm")
    return fields


def _vector(values: NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
