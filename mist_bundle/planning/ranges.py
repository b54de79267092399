"""Ranges of the training images, so that a bundle can warn about images unlike those it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint

Range = tuple[float, float]
_DIGITS = 6


def training_ranges(fingerprint: Fingerprint) -> Mapping[str, tuple[Range, ...]]:
    """Return the smallest and largest value over the training cases, except cases of implausible size.

    Returns:
        spacing_mm, extent_mm: along L, P, S. low, high: 0.5 and 99.5 percentile of an image, for each channel.
    """
    spacings: list[Sequence[float]] = []
    extents: list[Sequence[float]] = []
    for case in fingerprint.typical_cases:
        spacings.append(case.spacing_mm)
        extents.append(np.multiply(case.shape, case.spacing_mm).tolist())
    lows: list[Range] = []
    highs: list[Range] = []
    for channel in range(fingerprint.num_channels):
        # an optional channel may be in cases of implausible size alone
        images = fingerprint.images_of(channel, fingerprint.typical_cases) or fingerprint.images_of(channel)
        lows += _ranges([[image.low] for image in images])
        highs += _ranges([[image.high] for image in images])
    return {
        "spacing_mm": _ranges(spacings),
        "extent_mm": _ranges(extents),
        "low": tuple(lows),
        "high": tuple(highs),
    }


def _ranges(rows: Sequence[Sequence[float]]) -> tuple[Range, ...]:
    """Smallest and largest value of each column."""
    ranges = []
    for column in zip(*rows, strict=True):
        ranges.append((round(min(column), _DIGITS), round(max(column), _DIGITS)))
    return tuple(ranges)
