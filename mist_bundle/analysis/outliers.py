"""Cases whose geometry or intensities are far from those of the others, mostly due to a wrong header or modality.

Each of them is named. Cases of implausible size do not take part in the choice of the target spacing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mist_bundle.errors import Problem

if TYPE_CHECKING:
    from mist_bundle.analysis.case_stats import CaseStats, ChannelStats

_FAR = 10.0  # times the median along an axis, or a tenth of it: scanners differ by less
_FAR_RANGE = 20.0  # the same for the range of intensities
_REMEDY = "Check whether it was rescaled or is another kind of image."
_MIN_CASES = 3  # with fewer there is no majority to differ from
_LARGEST_VOXEL_MM = 50.0
_SMALLEST_VOXEL_MM = 0.001
_AIR_HU = -500  # images that hold air reach below this
_NO_AIR_HU = -200  # images without air stay above this


def size_outliers(cases: Sequence[CaseStats]) -> dict[str, str]:
    """Case id -> the irregularity of its voxel size or extent, for cases far from the median.

    Empty for fewer than three cases, where no majority exists.
    """
    if len(cases) < _MIN_CASES:
        return {}
    spacing_rows = []
    extent_rows = []
    for case in cases:
        spacing_rows.append(case.spacing_mm)
        extent_rows.append(np.multiply(case.spacing_mm, case.shape))
    spacings = np.array(spacing_rows)
    extents = np.array(extent_rows)
    outliers: dict[str, str] = {}
    for quantity, values in (("voxels", spacings), ("an extent", extents)):
        median = np.median(values, axis=0)
        is_far = ((values > _FAR * median) | (values < median / _FAR)).any(axis=1)
        for index in np.flatnonzero(is_far).tolist():
            message = (
                f"has {quantity} of {_times(values[index])} mm, while the median of all cases is {_times(median)} mm; "
                "it is left out of the choice of the grid. Look at spacing and unit in its header."
            )
            outliers.setdefault(cases[index].id, message)
    return outliers


def implausible_sizes(cases: Sequence[CaseStats]) -> Iterator[Problem]:
    """Voxel sizes that no scanner produces, even if all cases have them."""
    for case in cases:
        if max(case.spacing_mm) > _LARGEST_VOXEL_MM or min(case.spacing_mm) < _SMALLEST_VOXEL_MM:
            message = f"has voxels of {_times(case.spacing_mm)} mm. Look at spacing and unit in its header."
            yield Problem(case.id, message)


def intensity_outliers(cases: Sequence[CaseStats], channel_names: Sequence[str], modality: str) -> Iterator[Problem]:
    """Images whose intensities differ in kind from those of most cases."""
    if len(cases) < _MIN_CASES:
        return
    for index, name in enumerate(channel_names):
        ids, images, minima = [], [], []
        for case in cases:
            channel = case.channels[index]
            if channel is not None:
                ids.append(case.id)
                images.append(channel)
                minima.append(channel.minimum)
        outliers = range_outliers(images)
        median_minimum = float(np.median(minima))
        most_hold_air = modality == "ct" and median_minimum <= _AIR_HU
        for position, image in enumerate(images):
            case_id = ids[position]
            if position in outliers:
                message = f"has intensities from {image.low:.4g} to {image.high:.4g} in {name}"
                yield Problem(case_id, f"{message}, a range {outliers[position]} that of most cases. {_REMEDY}")
            elif most_hold_air and image.minimum > _NO_AIR_HU and image.minimum < image.maximum:
                message = f"has no voxel below {image.minimum:.4g} in {name}, where most cases hold air near -1000"
                yield Problem(case_id, f"{message} Hounsfield units. {_REMEDY}")


def range_outliers(channels: Sequence[ChannelStats]) -> dict[int, str]:
    """Index of each image whose range of intensities is far from the median range -> how far, in words.

    Constant images are left out; they are reported elsewhere.
    """
    ranges = [channel.high - channel.low for channel in channels]
    median = float(np.median(ranges))
    if len(channels) < _MIN_CASES or median == 0:
        return {}
    outliers = {}
    for index, own in enumerate(ranges):
        if own > _FAR_RANGE * median:
            outliers[index] = f"{own / median:.3g} times"
        elif 0 < own < median / _FAR_RANGE:
            outliers[index] = f"1/{median / own:.3g} of"
    return outliers


def modality_doubts(cases: Sequence[CaseStats], modality: str) -> Iterator[Problem]:
    """A modality that the intensities of most cases contradict."""
    minima = [case.measured_channels[0].minimum for case in cases]
    lowest = min(minima)
    if modality == "ct" and lowest > _NO_AIR_HU:
        message = f'is "ct", but no image has a voxel below {lowest:.4g}, while air is near -1000 Hounsfield units'
        yield Problem("modality", f"{message}. Check whether the values were rescaled, or correct the modality.")
    if modality == "mr" and np.median(minima) <= _AIR_HU:
        message = (
            f'is "mr", but images reach down to {lowest:.4g}, as only CT does. Correct the modality or the images.'
        )
        yield Problem("modality", message)


def _times(values: Sequence[float] | np.ndarray) -> str:
    """Numbers for a message: "1 x 1 x 3.5"."""
    return " x ".join(map("{:.4g}".format, values))
