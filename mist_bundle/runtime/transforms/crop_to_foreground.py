"""Crop a case to the part of the image that is not background, on the grid of the file."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..numerics.crop import box_slices, foreground_box
from ..numerics.grid import cropped_affine
from .volume import affine_of, as_volume, check_same_shape, new_volume, remember_original_grid


class CropToForegroundd(MapTransform):
    """Crop all volumes of a case to a box around the foreground of a single channel.

    The affine moves with the crop, and ``meta["crop_box"]`` keeps the box ``[[x0, y0, z0], [x1, y1, z1]]`` (half-open,
    in voxels of the volume that comes in) so that a prediction can be put back. Hence this comes right after loading.

    Args:
        keys: volumes (C, X, Y, Z) to crop.
        source_key: the volume that decides.
        source_channel: the channel of it that decides.
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(
        self,
        keys: KeysCollection = ("image", "label"),
        source_key: str = "image",
        source_channel: int = 0,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.source_key = source_key
        self.source_channel = source_channel

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        present = list(self.key_iterator(result))
        check_same_shape(result, [*present, self.source_key])
        box = foreground_box(as_volume(result[self.source_key], self.source_key)[self.source_channel])
        for key in present:
            volume = result[key]
            result[key] = new_volume(
                as_volume(volume, key)[(slice(None), *box_slices(box))],
                volume,
                cropped_affine(affine_of(volume), box[0]),
                **remember_original_grid(volume, key),
                crop_box=np.array(box).tolist(),
            )
        return result
