"""When a stored number is a label, and which label: the same rule for analysis, training and scoring."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Scaled files hold 2.9999998 for 3, or 1.0000153 under a slope of nearly 1; what is further off was interpolated
_ABSOLUTE, _RELATIVE, _AT_MOST = 1e-3, 1e-4, 0.05
_BEYOND_INT64 = 2.0**63
# Voxels handled at a time: what fits into a processor's cache is done several times faster.
_CHUNK = 1 << 16


def as_labels(array: NDArray[Any]) -> NDArray[Any]:
    """Exact whole numbers where all values are whole up to rounding, else the array as it is.

    Args:
        array: of any shape; whole or floating-point numbers.

    Returns:
        Whole numbers unchanged. Floating-point numbers as int32 or int64 when each lies within 0.001, or a
        ten-thousandth of itself (0.05 at most), of a whole number that int64 holds; otherwise the array itself, whose
        `dtype.kind` is then still "f".
    """
    if array.dtype.kind in "iub":
        return array
    if array.flags.f_contiguous and not array.flags.c_contiguous:  # as NIfTI files are: walk as the voxels lie
        return as_labels(array.T).T
    largest = max(float(array.max(initial=0)), -float(array.min(initial=0)))
    if not largest < _BEYOND_INT64:  # also infinity and NaN
        return array
    values = np.ascontiguousarray(array).reshape(-1)
    whole = np.empty(values.shape, np.int32 if largest < np.iinfo(np.int32).max else np.int64)
    for start in range(0, values.size, _CHUNK):
        part = values[start : start + _CHUNK]
        rounded = np.rint(part)
        if not np.array_equal(part, rounded) and not _are_labels(part, rounded).all():
            return array
        whole[start : start + _CHUNK] = rounded
    return whole.reshape(array.shape)


def not_labels(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of a floating-point array are not whole numbers by the rule of `as_labels`."""
    with np.errstate(invalid="ignore"):  # infinity and NaN are not labels either
        return np.asarray(~(_are_labels(array, np.rint(array)) & (np.abs(array) < _BEYOND_INT64)))


def _are_labels(values: NDArray[Any], rounded: NDArray[Any]) -> NDArray[np.bool_]:
    tolerance = np.clip(_RELATIVE * np.abs(rounded), _ABSOLUTE, _AT_MOST)
    return np.asarray(np.abs(values - rounded) <= tolerance)
