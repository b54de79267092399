"""Crop a case to the part of the image that is not zero, as nnU-Net does, and remember where it is not zero."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..numerics.crop import bounding_box, box_slices, nonzero_mask, whole_box
from ..numerics.grid import cropped_affine
from .volume import affine_of, as_volume, check_same_shape, new_volume, remember_original_grid


class CropToNonzerod(MapTransform):
    """Crop all volumes of a case to the smallest box around the voxels that are not zero in all channels.

    The affine moves with the crop, and ``meta["crop_box"]`` keeps the box ``[[x0, y0, z0], [x1, y1, z1]]`` (half-open,
    in voxels of the volume that comes in) so that a prediction can be put back. Hence this comes right after loading.

    Args:
        keys: volumes (C, X, Y, Z) to crop.
        source_key: the image that decides.
        mask_key: where the mask (1, X, Y, Z) of these voxels goes, its holes filled; None for no mask.
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(
        self,
        keys: KeysCollection = ("image", "label"),
        source_key: str = "image",
        mask_key: str | None = "nonzero",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.source_key = source_key
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        present = list(self.key_iterator(result))
        check_same_shape(result, [*present, self.source_key])
        source = result[self.source_key]
        mask = nonzero_mask(as_volume(source, self.source_key))
        box = bounding_box(mask) or whole_box(mask.shape)
        inside = (slice(None), *box_slices(box))
        for key in present:
            volume = result[key]
            result[key] = new_volume(
                as_volume(volume, key)[inside],
                volume,
                cropped_affine(affine_of(volume), box[0]),
                **remember_original_grid(volume, key),
                crop_box=np.array(box).tolist(),
            )
        if self.mask_key is not None:
            affine = cropped_affine(affine_of(source), box[0])
            result[self.mask_key] = new_volume(mask[None][inside].view(np.uint8), source, affine)
        return result
