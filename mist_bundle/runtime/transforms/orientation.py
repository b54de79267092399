"""Bring a case into an orientation, usually LPS: axes that point to the patient's left, back and head.

ITK and MIST call LPS "RAI".
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..numerics.grid import reorient
from .volume import affine_of, as_volume, new_volume, remember_original_grid, to_ras


class Reorientd(MapTransform):
    """Permute and flip the axes of each volume so that they point to certain directions; values stay as they are.

    The same result as MONAI's ``Orientationd``, without its record of applied operations.

    Args:
        keys: volumes (C, X, Y, Z).
        axcodes: directions of the axes, such as "RAS".
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(
        self, keys: KeysCollection = ("image", "label"), axcodes: str = "LPS", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.axcodes = axcodes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        for key in self.key_iterator(result):
            volume = result[key]
            affine = affine_of(volume)
            array, turned = reorient(as_volume(volume, key), to_ras(affine, volume), self.axcodes)
            # Where the world axes are LPS, turn the affine back to them: the step in voxels is the same.
            step = np.linalg.solve(to_ras(affine, volume), turned)
            result[key] = new_volume(array, volume, affine @ step, **remember_original_grid(volume, key))
        return result


class ReorientToLPSd(Reorientd):
    """`Reorientd` to L, P and S.

    Args:
        keys: volumes (C, X, Y, Z).
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(self, keys: KeysCollection = ("image", "label"), allow_missing_keys: bool = False) -> None:
        super().__init__(keys, "LPS", allow_missing_keys)
