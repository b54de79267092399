"""Remember which voxels an image really has, before resampling smears its edge into the zeros around it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.transforms import MapTransform

from .volume import as_volume, new_volume


class NonzeroMaskd(MapTransform):
    """Add the mask of voxels that are not zero, with a channel for each channel of the image.

    `ResampleToSpacingd` carries the mask along by nearest neighbour, `WindowNormalized` takes statistics inside it.

    Args:
        source_key: image (C, X, Y, Z).
        mask_key: where the (C, X, Y, Z) uint8 mask goes.
    """

    def __init__(self, source_key: str = "image", mask_key: str = "nonzero") -> None:
        super().__init__(source_key)
        self.source_key = source_key
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        image = data[self.source_key]
        mask = (as_volume(image, self.source_key) != 0).view(np.uint8)
        return {**data, self.mask_key: new_volume(mask, image)}
