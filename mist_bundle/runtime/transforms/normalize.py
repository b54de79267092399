"""Window and normalise intensities, by the statistics of the image itself or of the whole dataset."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..numerics.window import normalize_channel, window_and_normalize, zero_outside
from .volume import as_volume, describe, new_volume

PER_IMAGE = "per_image"
DATASET = "dataset"


class WindowNormalized(MapTransform):
    """Clip each channel to a window, then give it mean 0 and standard deviation 1.

    Args:
        keys: images (C, X, Y, Z).
        mode: "per_image" takes the window from each channel's own 0.5 and 99.5 percentiles, and mean and standard
            deviation from what the window leaves; "dataset" takes all four numbers from `window` (for CT, whose numbers
            mean the same in every image).
        window: for "dataset": for each channel {"low", "high", "mean", "std"}.
        mask_key: mask (C, X, Y, Z) or (1, X, Y, Z) that per-image statistics are confined to; outside it all is 0.
        clip_first: for "per_image": take mean and standard deviation after clipping, as the paper does; False takes
            them before, as MIST 2.3 does.
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        mode: str = PER_IMAGE,
        window: Sequence[Mapping[str, float]] | None = None,
        mask_key: str | None = None,
        clip_first: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        if mode not in (PER_IMAGE, DATASET):
            msg = f"The mode must be {PER_IMAGE!r} or {DATASET!r}, but got {mode!r}."
            raise ValueError(msg)
        if (mode == DATASET) != (window is not None):
            msg = f"A window belongs to mode {DATASET!r}, and to that mode only; got mode {mode!r} and window {window}."
            raise ValueError(msg)
        self.mode = mode
        self.window = list(window or ())
        self.mask_key = mask_key
        self.clip_first = clip_first

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        mask = None if self.mask_key is None else as_volume(result[self.mask_key], self.mask_key)
        for key in self.key_iterator(result):
            array = as_volume(result[key], key)
            if self.mode == DATASET and len(self.window) != len(array):
                msg = (
                    f"{describe(result[key], key)} has {len(array)} channels, but the plan holds windows for "
                    f"{len(self.window)}. Use the channels that the model was trained with, in that order."
                )
                raise ValueError(msg)
            masks = None if mask is None else np.broadcast_to(mask, array.shape)
            result[key] = new_volume(self._normalize(array, masks), result[key])
        return result

    def _normalize(self, array: NDArray[Any], masks: NDArray[Any] | None) -> NDArray[np.float32]:
        if self.mode == PER_IMAGE:
            normalized = np.empty(array.shape, np.float32)
            for index, channel in enumerate(array):
                mask = None if masks is None else masks[index]
                normalize_channel(channel, mask, clip_first=self.clip_first, out=normalized[index])
            return normalized
        statistics = np.array([[row["low"], row["high"], row["mean"], row["std"]] for row in self.window])
        normalized = window_and_normalize(array, *statistics.T.tolist())
        if masks is not None:
            for channel, mask in zip(normalized, masks, strict=True):
                zero_outside(channel, mask)
        return normalized
