"""A volume a part at a time, so that what is computed from it takes little memory beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Voxels of a part, about: 8 MB in float64. A smaller volume is a part of its own.
SLAB_VOXELS = 1 << 20

Slab = tuple[slice, ...]


def slabs(array: NDArray[Any], num_voxels: int = SLAB_VOXELS) -> Iterator[Slab]:
    """Indices of parts that cover an array, in the order in which it lies in memory.

    Args:
        array: of any shape and memory layout.
        num_voxels: of a part, at most; a single layer may have more.
    """
    if array.size <= num_voxels:
        yield (slice(None),) * array.ndim
        return
    slowest = max(range(array.ndim), key=lambda axis: abs(array.strides[axis]))
    length = array.shape[slowest]
    step = max(1, num_voxels * length // array.size)
    for start in range(0, length, step):
        index = [slice(None)] * array.ndim
        index[slowest] = slice(start, min(start + step, length))
        yield tuple(index)


def mean_and_std(parts: Callable[[], Iterable[NDArray[Any]]]) -> tuple[float, float]:
    """Mean and standard deviation of all values of some arrays, summed in float64.

    For a single array these are the very numbers of `array.mean(dtype=float64)` and `array.std(dtype=float64)`; for
    several they differ by the order of the sums, in about the 15th digit.

    Args:
        parts: gives the arrays, and the same ones again when it is called again.

    Raises:
        ValueError: there are no values.
    """
    count, total = 0, 0.0
    for part in parts():
        count += part.size
        total += float(part.sum(dtype=np.float64))
    if count == 0:
        msg = "No values have no mean."
        raise ValueError(msg)
    mean = total / count
    squares = 0.0
    for part in parts():
        deviation = np.subtract(part, mean, dtype=np.float64)
        np.multiply(deviation, deviation, out=deviation)
        squares += float(deviation.sum())
    return mean, math.sqrt(squares / count)
