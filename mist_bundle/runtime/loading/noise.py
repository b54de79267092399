"""Gaussian noise for patches, from a table of random numbers: a look-up is much cheaper than drawing for each patch.

A patch's noise is a piece of the table that begins at a random place. Two patches agree nowhere unless they happen to
begin at the same of 65,536 places. On a GPU the table lies on the device, and so does the noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OFFSETS = 2**16  # places where a piece may begin


def noise_table(seed: Sequence[int], channels: int, patch_size: Sequence[int]) -> NDArray[np.float32]:
    """Standard normal numbers, enough for a patch of (channels, *patch_size) at each of the `OFFSETS`."""
    length = channels * int(np.prod(patch_size)) + OFFSETS
    return np.random.default_rng(tuple(seed)).standard_normal(length, dtype=np.float32)


def noise_piece(
    table: NDArray[np.float32], offset: int, channels: int, patch_size: Sequence[int]
) -> NDArray[np.float32]:
    """A view of the table, (channels, *patch_size), of standard deviation 1."""
    length = channels * int(np.prod(patch_size))
    return table[offset : offset + length].reshape(channels, *patch_size)
