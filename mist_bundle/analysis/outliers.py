"""Cases whose geometry or intensities are far from those of the others: mostly a wrong header or another kind of image.

Each is named; one whose size is implausible does not help to choose the grid for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mist_bundle.errors import Problem

if TYPE_CHECKING:
    from mist_bundle.analysis.case_stats import CaseStats, ChannelStats

_FAR = 10.0  # times the median, or a tenth of it, along one axis: more than scanners differ by
_FAR_RANGE = 20.0  # the same for the range of intensities
_MIN_CASES = 3  # that make a majority
_LARGEST_VOXEL_MM, _SMALLEST_VOXEL_MM = 50.0, 0.001
_AIR_HU, _NO_AIR_HU = -500, -200


def size_outliers(cases: Sequence[CaseStats]) -> dict[str, str]:
    """Case id -> what is odd about its voxel size or extent; cases like most are left out.

    Of fewer than three cases, none is odd: nobody can tell which.
    """
    if len(cases) < _MIN_CASES:
        return {}
    spacings = np.array([case.spacing_mm for case in cases])
    extents = spacings * np.array([case.shape for case in cases])
    found: dict[str, str] = {}
    for name, values in (("voxels", spacings), ("an extent", extents)):
        median = np.median(values, axis=0)
        far = ((values > _FAR * median) | (values < median / _FAR)).any(axis=1)
        for case, own in zip(np.array(cases, dtype=object)[far], values[far], strict=True):
            message = (
                f"has {name} of {_times(own)} mm, while the median of all cases is {_times(median)} mm; it is left out "
                "of the choice of the grid. Look at spacing and unit in its header."
            )
            found.setdefault(case.id, message)
    return found


def implausible_sizes(cases: Sequence[CaseStats]) -> Iterator[Problem]:
    """Voxels that no scanner makes, also where all cases have them."""
    for case in cases:
        if max(case.spacing_mm) > _LARGEST_VOXEL_MM or min(case.spacing_mm) < _SMALLEST_VOXEL_MM:
            message = f"has voxels of {_times(case.spacing_mm)} mm. Look at spacing and unit in its header."
            yield Problem(case.id, message)


def intensity_outliers(cases: Sequence[CaseStats], channel_names: Sequence[str], modality: str) -> Iterator[Problem]:
    """Images whose intensities are of another kind than those of most cases."""
    if len(cases) < _MIN_CASES:
        return
    for index, name in enumerate(channel_names):
        channels = [case.channels[index] for case in cases]
        odd = range_outliers(channels)
        lowest = float(np.median([channel.minimum for channel in channels]))
        for position, (case, channel) in enumerate(zip(cases, channels, strict=True)):
            if position in odd:
                message = f"has intensities from {channel.low:.4g} to {channel.high:.4g} in {name}"
                yield Problem(case.id, f"{message}, a range {odd[position]} that of most cases. {_REMEDY}")
            elif channel.minimum == channel.maximum:  # said elsewhere
                continue
            elif modality == "ct" and channel.minimum > _NO_AIR_HU and lowest <= _AIR_HU:
                message = f"has no voxel below {channel.minimum:.4g} in {name}, where most cases hold air near -1000"
                yield Problem(case.id, f"{message} Hounsfield units. {_REMEDY}")


_REMEDY = "Look whether it was rescaled or is another kind of image."


def range_outliers(channels: Sequence[ChannelStats]) -> dict[int, str]:
    """Position of each image whose range of intensities is far from most others' -> how far; constant ones left out."""
    ranges = [channel.high - channel.low for channel in channels]
    usual = float(np.median(ranges))
    if len(channels) < _MIN_CASES or usual == 0:
        return {}
    return {
        position: f"{own / usual:.3g} times" if own > usual else f"1/{usual / own:.3g} of"
        for position, own in enumerate(ranges)
        if own > 0 and not usual / _FAR_RANGE <= own <= _FAR_RANGE * usual
    }


def modality_doubts(cases: Sequence[CaseStats], modality: str) -> Iterator[Problem]:
    """A modality that the intensities of most cases contradict."""
    lowest = [case.channels[0].minimum for case in cases]
    if modality == "ct" and all(low > _NO_AIR_HU for low in lowest):
        message = f'is "ct", but no image has a voxel below {min(lowest):.4g}, while air is near -1000 Hounsfield units'
        yield Problem("modality", f"{message}. Look whether the values were rescaled, or correct the modality.")
    if modality == "mr" and np.median(lowest) <= _AIR_HU:
        yield Problem("modality", f'is "mr", but images reach down to {min(lowest):.4g}, as only CT does. Correct one.')


def _times(values: Sequence[float] | np.ndarray) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
