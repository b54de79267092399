"""Intensity windowing and z-scores, by the paper's rule: clip first, then take mean and standard deviation.

Percentiles are exact (those of `numpy.percentile`), computed by partitioning instead of sorting. A volume is normalised
a slab at a time: beside it and the result, there is never more than one copy of a channel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .slabs import mean_and_std, slabs

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5


def percentile_window(
    values: NDArray[Any], low: float = LOW_PERCENTILE, high: float = HIGH_PERCENTILE, *, reorder: bool = False
) -> tuple[float, float]:
    """Two percentiles of an array of any shape, with linear interpolation between ranks.

    Args:
        values: of any shape.
        low: the first percentile, 0 to 100.
        high: the second, not below the first.
        reorder: leave the values in another order, instead of copying them; for (N,) values only.

    Raises:
        ValueError: the array is empty.
    """
    if values.size == 0:
        msg = "An empty array has no percentiles."
        raise ValueError(msg)
    low_rank = low / 100 * (values.size - 1)
    high_rank = high / 100 * (values.size - 1)
    neighbours = {math.floor(low_rank), math.ceil(low_rank), math.floor(high_rank), math.ceil(high_rank)}
    ordered = values if reorder else values.flatten()
    ordered.partition(sorted(neighbours))
    return _between_ranks(ordered, low_rank), _between_ranks(ordered, high_rank)


def _between_ranks(ordered: NDArray[Any], rank: float) -> float:
    """Linear interpolation between the two values next to a fractional rank."""
    below, above = float(ordered[math.floor(rank)]), float(ordered[math.ceil(rank)])
    return below + (above - below) * (rank - math.floor(rank))


def window_and_normalize(
    array: NDArray[Any],
    low: float | Sequence[float],
    high: float | Sequence[float],
    mean: float | Sequence[float],
    std: float | Sequence[float],
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Clip to [low, high], subtract the mean and divide by the standard deviation.

    Args:
        array: (C, X, Y, Z).
        low: lower end of the window; a number, or a number for each channel, as all the following.
        high: upper end of the window.
        mean: what becomes 0.
        std: what becomes 1; a channel with 0 here becomes all zeros.
        out: (C, X, Y, Z) where the result goes; a new array by default.

    Returns:
        (C, X, Y, Z) float32.
    """
    lows, highs = _per_channel(low, len(array)), _per_channel(high, len(array))
    means, stds = _per_channel(mean, len(array)), _per_channel(std, len(array))
    result = np.empty(array.shape, dtype=np.float32) if out is None else out
    for channel, values in enumerate(array):
        if stds[channel] == 0:
            result[channel] = 0
            continue
        np.clip(values, lows[channel], highs[channel], out=result[channel], casting="unsafe")
        result[channel] -= np.float32(means[channel])
        result[channel] *= np.float32(1 / stds[channel])
    return result


def normalize_channel(
    channel: NDArray[Any],
    mask: NDArray[Any] | None = None,
    *,
    clip_first: bool = True,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Window and normalise a volume by its own statistics.

    Args:
        channel: (X, Y, Z) intensities.
        mask: (X, Y, Z); with it, statistics come from its non-zero voxels only and the others become 0.
        clip_first: take mean and standard deviation of the clipped values, as the paper does; False as MIST 2.3 does.
        out: (X, Y, Z) where the result goes; a new array by default.

    Returns:
        (X, Y, Z) float32 with mean 0 and standard deviation 1 inside the mask. All zeros for a constant image or an
        empty mask.
    """
    result = np.empty(channel.shape, dtype=np.float32) if out is None else out
    if channel.size == 0 or (mask is not None and not mask.any()):
        result[...] = 0
        return result
    low, high = percentile_window(channel) if mask is None else _percentiles_inside(channel, mask)

    def measured() -> Iterator[NDArray[Any]]:
        for slab in slabs(channel):
            values = channel[slab] if mask is None else channel[slab][mask[slab] != 0]
            yield np.clip(values, low, high) if clip_first else values

    mean, std = mean_and_std(measured)
    # A constant comes out of the sums with a rounding error, never with a spread of this size.
    if std <= 1e-7 * max(abs(low), abs(high)):
        std = 0.0
    window_and_normalize(channel[None], low, high, mean, std, out=result[None])
    if mask is not None:
        zero_outside(result, mask)
    return result


def zero_outside(values: NDArray[np.float32], mask: NDArray[Any]) -> None:
    """Set the voxels of (X, Y, Z) values to 0, in place, where a mask of the same shape is 0."""
    for slab in slabs(values):
        values[slab] *= mask[slab] != 0


def _percentiles_inside(channel: NDArray[Any], mask: NDArray[Any]) -> tuple[float, float]:
    values = np.empty(np.count_nonzero(mask), channel.dtype)
    start = 0
    for slab in slabs(channel):
        chosen = channel[slab][mask[slab] != 0]
        values[start : start + len(chosen)] = chosen
        start += len(chosen)
    return percentile_window(values, reorder=True)


def _per_channel(value: float | Sequence[float], num_channels: int) -> list[float]:
    if isinstance(value, (int, float, np.number)):
        return [float(value)] * num_channels
    if len(value) != num_channels:
        msg = f"Got {len(value)} window values for {num_channels} channels; expected 1 or {num_channels}."
        raise ValueError(msg)
    return list(map(float, value))
