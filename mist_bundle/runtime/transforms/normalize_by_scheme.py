"""Normalise each channel by its own scheme, as nnU-Net does."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..numerics.schemes import SCHEMES, WINDOW, WINDOW_VALUES, normalize
from .volume import as_volume, describe, new_volume


class NormalizeBySchemed(MapTransform):
    """Normalise the channels of an image, each by its scheme; the mask is not needed any more and is left behind.

    Args:
        keys: images (C, X, Y, Z).
        schemes: for each channel {"scheme": name, …}; see `runtime/numerics/schemes.py`.
        mask_key: mask (1, X, Y, Z) of the voxels that count for channels that say so.
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(
        self,
        keys: KeysCollection,
        schemes: Sequence[Mapping[str, Any]],
        mask_key: str = "nonzero",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.schemes = [dict(scheme) for scheme in schemes]
        self.mask_key = mask_key
        for number, scheme in enumerate(self.schemes):
            if scheme.get("scheme") not in SCHEMES:
                msg = f"Channel {number} has the scheme {scheme.get('scheme')!r}; expected one of {', '.join(SCHEMES)}."
                raise ValueError(msg)
            missing = [name for name in WINDOW_VALUES if name not in scheme]
            if scheme["scheme"] == WINDOW and missing:
                msg = f"The scheme of channel {number} lacks {', '.join(missing)}."
                raise ValueError(msg)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        mask = None if self.mask_key not in result else as_volume(result[self.mask_key], self.mask_key)[0] != 0
        for key in self.key_iterator(result):
            array = as_volume(result[key], key)
            if len(array) != len(self.schemes):
                msg = (
                    f"{describe(result[key], key)} has {len(array)} channels, but the model was trained with "
                    f"{len(self.schemes)}. Use the channels that it was trained with, in that order."
                )
                raise ValueError(msg)
            normalized = np.empty(array.shape, np.float32)
            for number, scheme in enumerate(self.schemes):
                try:
                    normalize(array[number], scheme, mask, out=normalized[number])
                except ValueError as error:
                    raise ValueError(f"{describe(result[key], key)}, channel {number}: {error}") from error
            result[key] = new_volume(normalized, result[key])
        result.pop(self.mask_key, None)
        return result
