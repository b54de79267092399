"""Take the slow brightness drift out of MR images (N4)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..numerics.grid import spacing_of
from .volume import affine_of, as_volume, new_volume

# Below this many voxels an axis is not shrunk further: the field's spline needs something to stand on.
_SMALLEST_SHRUNKEN_AXIS = 8


class BiasCorrectiond(MapTransform):
    """N4 bias field correction of each channel, with the field estimated on a shrunken image.

    The field is estimated inside Otsu's foreground, from positive voxels only, and divided out everywhere. Zeros stay
    zeros. SimpleITK is imported when the transform is first used.

    Args:
        keys: images (C, X, Y, Z).
        shrink_factor: every how many voxels of an axis count for the estimate.
        iterations: at most this many for each of the resolution levels.
        allow_missing_keys: leave out what a case does not have.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        shrink_factor: int = 4,
        iterations: Sequence[int] = (50, 50, 50, 50),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.shrink_factor = shrink_factor
        self.iterations = list(map(int, iterations))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        for key in self.key_iterator(result):
            volume = result[key]
            spacing = spacing_of(affine_of(volume)).tolist()
            array = as_volume(volume, key)
            corrected = np.empty(array.shape, np.float32)
            for index, channel in enumerate(array):
                corrected[index] = self._correct(channel, spacing)
            result[key] = new_volume(corrected, volume)
        return result

    def _correct(self, channel: NDArray[Any], spacing: Sequence[float]) -> NDArray[np.float32]:
        import SimpleITK as sitk

        values = np.ascontiguousarray(channel, dtype=np.float32)
        if values.max() <= max(0.0, float(values.min())):
            return values  # nothing positive, or constant: there is no field to see
        # ITK stores z first. The field depends on distances only, so spacing is all the geometry it needs.
        image = sitk.GetImageFromArray(values.T)
        image.SetSpacing(spacing[:3])
        mask = sitk.And(sitk.OtsuThreshold(image, 0, 1, 200), sitk.Cast(image > 0, sitk.sitkUInt8))
        largest_factors = np.array(image.GetSize()) // _SMALLEST_SHRUNKEN_AXIS
        factors = np.maximum(1, np.minimum(self.shrink_factor, largest_factors)).tolist()
        small_mask = sitk.Shrink(mask, factors)
        if not sitk.GetArrayViewFromImage(small_mask).any():
            return values
        correction = sitk.N4BiasFieldCorrectionImageFilter()
        correction.SetMaximumNumberOfIterations(self.iterations)
        correction.Execute(sitk.Shrink(image, factors), small_mask)
        field = sitk.GetArrayFromImage(correction.GetLogBiasFieldAsImage(image)).T
        return np.asarray(values / np.exp(field), dtype=np.float32)
