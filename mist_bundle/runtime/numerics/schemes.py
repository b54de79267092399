"""nnU-Net's ways of normalising a channel. Source: nnU-Net v2, preprocessing/normalization."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .slabs import mean_and_std, slabs

ZSCORE = "zscore"  # by the image's own mean and standard deviation
WINDOW = "window"  # clip, then mean and standard deviation of the whole training set
NONE = "none"
ZERO_TO_ONE = "zero_to_one"  # the image's smallest value to 0, its largest to 1
BYTES_TO_ONE = "bytes_to_one"  # values of 0 to 255
SCHEMES = (ZSCORE, WINDOW, NONE, ZERO_TO_ONE, BYTES_TO_ONE)
WINDOW_VALUES = ("low", "high", "mean", "std")
_SMALLEST = 1e-8  # what is divided by at least
_LARGEST_BYTE = 255


def normalize(
    channel: NDArray[Any],
    scheme: Mapping[str, Any],
    mask: NDArray[np.bool_] | None,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Normalise a channel.

    Args:
        channel: (X, Y, Z) intensities.
        scheme: {"scheme": one of SCHEMES}; for "zscore" also "mask", whether only voxels of the mask count and change;
            for "window" also "low", "high", "mean" and "std".
        mask: (X, Y, Z), where the image is not zero.
        out: (X, Y, Z) where the result goes; a new array by default.

    Returns:
        (X, Y, Z) float32.

    Raises:
        ValueError: values outside 0 … 255 for "bytes_to_one".
    """
    values = np.empty(channel.shape, np.float32) if out is None else out
    values[...] = channel
    name = scheme["scheme"]
    if name == ZSCORE:
        _zscore(values, mask if scheme.get("mask") else None)
    elif name == WINDOW:
        np.clip(values, scheme["low"], scheme["high"], out=values)
        values -= np.float32(scheme["mean"])
        values /= np.float32(max(scheme["std"], _SMALLEST))
    elif name == ZERO_TO_ONE:
        values -= values.min()
        values /= max(float(values.max()), _SMALLEST)
    elif name == BYTES_TO_ONE:
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > _LARGEST_BYTE:
            msg = f"the values go from {low:g} to {high:g}; this channel must have colours from 0 to {_LARGEST_BYTE}."
            raise ValueError(msg)
        values /= _LARGEST_BYTE
    return values


def _zscore(values: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> None:
    if values.size == 0 or (mask is not None and not mask.any()):
        return

    def measured() -> Iterator[NDArray[np.float32]]:
        for slab in slabs(values):
            yield values[slab] if mask is None else values[slab][mask[slab]]

    mean, std = mean_and_std(measured)
    for slab in slabs(values):
        normalized = (values[slab] - np.float32(mean)) / np.float32(max(std, _SMALLEST))
        if mask is None:
            values[slab] = normalized
        else:
            np.copyto(values[slab], normalized, where=mask[slab])
