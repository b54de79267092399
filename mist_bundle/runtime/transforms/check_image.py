"""Look at an image before a network does: refuse what cannot be predicted, and say what is unlike the training data."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import Transform
from numpy.typing import NDArray

from ..numerics.grid import orientation_to, spacing_of
from .volume import HEADER_WARNINGS, affine_of, as_volume, describe, meta_of, to_ras

Ranges = Sequence[Sequence[float]]

_FAR_OFF = 2.0  # factor beyond the range of the training cases
_INTENSITY_SLACK = 0.25  # of the range of all training intensities
_PERCENTILES = (0.5, 99.5)  # those that the training cases were measured by
_MAX_SAMPLE = 1 << 20


class CheckImaged(Transform):
    """Refuse images that hold NaN or infinity; collect what a person should look at.

    Args:
        image_key: (C, X, Y, Z), as it was loaded.
        warnings_key: where the warnings go, a line each.
        channel_names: of the image's channels.
        training_ranges: smallest and largest value over the training cases: "spacing_mm" and "extent_mm" along L, P, S,
            and "low" and "high" (0.5 and 99.5 percentile) for each channel; None where they are not known.
        same_units: whether intensities mean the same in every image, as Hounsfield units do.

    Raises:
        ValueError: on an image with voxels that are not finite numbers, or with a wrong number of channels.
    """

    def __init__(
        self,
        image_key: str = "image",
        warnings_key: str = "warnings",
        channel_names: Sequence[str] = (),
        training_ranges: Mapping[str, Ranges] | None = None,
        same_units: bool = False,
    ) -> None:
        self.image_key = image_key
        self.warnings_key = warnings_key
        self.channel_names = tuple(channel_names)
        self.training_ranges = dict(training_ranges or {})
        self.same_units = same_units

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; the image stays as it is."""
        image = data[self.image_key]
        array = as_volume(image, self.image_key)
        names = self.channel_names or tuple(map(str, range(len(array))))
        if len(array) != len(names):
            message = f"has {len(array)} channels; the model was trained with {len(names)} ({', '.join(names)})."
            raise ValueError(f"{describe(image, self.image_key)} {message}")
        warnings = []
        for name, channel in zip(names, array, strict=True):
            warnings += _constant(name, *_extremes(name, channel))
        warnings += self._grid(to_ras(affine_of(image), image), array.shape[1:])
        if self.same_units and not warnings:
            warnings += self._intensities(names, array)
        header = str(meta_of(image).get(HEADER_WARNINGS, "")).splitlines()
        return {**data, self.warnings_key: "\n".join([*header, *warnings])}

    def _grid(self, affine: NDArray[np.float64], shape: Sequence[int]) -> list[str]:
        axes, _ = orientation_to(affine, shape, "LPS")
        along_lps = list(axes)
        spacing = spacing_of(affine)[along_lps]
        extent = np.asarray(shape)[along_lps] * spacing
        warnings = []
        ranges = self.training_ranges.get("spacing_mm")
        if ranges is not None and _is_far_off(spacing, ranges):
            warnings.append(
                f"its voxels are {_sizes(spacing)} mm, those of the training cases {_ranges(ranges)} mm; "
                "check the header, or expect a poor prediction."
            )
        ranges = self.training_ranges.get("extent_mm")
        if ranges is not None and _is_far_off(extent, ranges):
            warnings.append(
                f"it covers {_sizes(extent)} mm, the training cases {_ranges(ranges)} mm; "
                "use the same part of the body, or expect a poor prediction."
            )
        return warnings

    def _intensities(self, names: Sequence[str], array: NDArray[Any]) -> list[str]:
        warnings = []
        lows, highs = self.training_ranges.get("low", ()), self.training_ranges.get("high", ())
        for name, channel, lowest, highest in zip(names, array, lows, highs, strict=False):
            sample = channel.ravel()[:: max(1, math.ceil(channel.size / _MAX_SAMPLE))]
            low, high = np.percentile(sample, _PERCENTILES).tolist()
            slack = _INTENSITY_SLACK * (highest[1] - lowest[0])
            if _is_inside(low, lowest, slack) and _is_inside(high, highest, slack):
                continue
            warnings.append(
                f"{name} ranges from {low:.6g} to {high:.6g}, in the training cases from {lowest[0]:.6g} … "
                f"{lowest[1]:.6g} to {highest[0]:.6g} … {highest[1]:.6g}; check its units (Hounsfield units for CT)."
            )
        return warnings


def _extremes(name: str, channel: NDArray[Any]) -> tuple[float, float]:
    low, high = float(channel.min()), float(channel.max())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    num_bad = int((~np.isfinite(channel)).sum())
    raise ValueError(f"{name} holds {num_bad} voxels that are NaN or infinite. Replace them by a number, such as 0.")


def _constant(name: str, low: float, high: float) -> list[str]:
    return [f"{name} is {low:.6g} everywhere; check that the file holds an image."] if low == high else []


def _is_far_off(values: NDArray[np.float64], ranges: Ranges) -> bool:
    low, high = np.transpose(ranges)
    return bool(np.any((values < low / _FAR_OFF) | (values > high * _FAR_OFF)))


def _is_inside(value: float, limits: Sequence[float], slack: float) -> bool:
    return limits[0] - slack <= value <= limits[1] + slack


def _sizes(values: NDArray[np.float64]) -> str:
    return "{:.3g} × {:.3g} × {:.3g}".format(*values)


def _ranges(ranges: Ranges) -> str:
    texts = []
    for low, high in ranges:
        texts.append(f"{low:.3g}" if low == high else f"{low:.3g}-{high:.3g}")
    return " × ".join(texts)
