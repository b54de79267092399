"""What the training images are like, so that a bundle can say when it is given something else to predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint

Range = tuple[float, float]
_DIGITS = 6


def training_ranges(fingerprint: Fingerprint) -> Mapping[str, tuple[Range, ...]]:
    """Smallest and largest value over the training cases, those of implausible size left out.

    Returns:
        spacing_mm, extent_mm: along L, P, S. low, high: 0.5 and 99.5 percentile of an image, for each channel.
    """
    cases = fingerprint.typical_cases
    extents = [[length * side for length, side in zip(case.shape, case.spacing_mm, strict=True)] for case in cases]
    return {
        "spacing_mm": _ranges([case.spacing_mm for case in cases]),
        "extent_mm": _ranges(extents),
        "low": _ranges([[channel.low for channel in case.channels] for case in cases]),
        "high": _ranges([[channel.high for channel in case.channels] for case in cases]),
    }


def _ranges(rows: Sequence[Sequence[float]]) -> tuple[Range, ...]:
    return tuple((round(min(column), _DIGITS), round(max(column), _DIGITS)) for column in zip(*rows, strict=True))
