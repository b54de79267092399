"""Ranges of the training images, so that a bundle can warn about images unlike those it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mist_bundle.analysis.case_stats import CaseStats
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
    lows: list[Sequence[float | None]] = []
    highs: list[Sequence[float | None]] = []
    for case in fingerprint.typical_cases:
        spacings.append(case.spacing_mm)
        extents.append(np.multiply(case.shape, case.spacing_mm).tolist())
    # an optional channel may be in cases of implausible size alone
    typical = fingerprint.typical_cases if _has_every_channel(fingerprint.typical_cases) else fingerprint.cases
    for case in typical:
        lows.append([None if channel is None else channel.low for channel in case.channels])
        highs.append([None if channel is None else channel.high for channel in case.channels])
    return {
        "spacing_mm": _ranges(spacings),
        "extent_mm": _ranges(extents),
        "low": _ranges(lows),
        "high": _ranges(highs),
    }


def _has_every_channel(cases: Sequence[CaseStats]) -> bool:
    """Whether each channel is there in some case."""
    for channel in zip(*[case.channels for case in cases], strict=True):
        if all(image is None for image in channel):
            return False
    return True


def _ranges(rows: Sequence[Sequence[float | None]]) -> tuple[Range, ...]:
    """Smallest and largest value of each column."""
    ranges = []
    for values in zip(*rows, strict=True):
        column = [value for value in values if value is not None]
        ranges.append((round(min(column), _DIGITS), round(max(column), _DIGITS)))
    return tuple(ranges)
