"""Bring a case to the spacing that the network was planned for."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..numerics.grid import Affine, Shape, resampled_affine, resampled_shape, spacing_of
from ..numerics.memory import total_memory
from ..numerics.resample import resample_image, resample_label, resample_nearest
from ..wording import format_bytes
from .volume import affine_of, as_volume, check_same_shape, describe, new_volume


class ResampleToSpacingd(MapTransform):
    """Resample image (cubic B-spline), label (class by class) and non-zero mask (nearest voxel) to a spacing.

    Resampling runs along the array axes, the centre of the field of view stays, and the affine tells the new grid.
    Volumes that a case does not have are left out. A case that has the spacing already keeps its values untouched.

    Args:
        target_spacing: three numbers in millimetres, for the axes as they are now (so reorient first).
        num_classes: classes in the label, background included; needed where there is a label.
        image_key: (C, X, Y, Z) intensities.
        label_key: (1, X, Y, Z) class indices; None where "label" is only a path that something later reads.
        mask_key: (C, X, Y, Z) mask.
        clip: keep each channel within the range of its source, which splines exceed; False as MIST 2.3 does.
    """

    def __init__(
        self,
        target_spacing: Sequence[float],
        num_classes: int | None = None,
        image_key: str = "image",
        label_key: str | None = "label",
        mask_key: str = "nonzero",
        clip: bool = True,
    ) -> None:
        keys = [key for key in (image_key, label_key, mask_key) if key is not None]
        super().__init__(keys, allow_missing_keys=True)
        self.target_spacing = tuple(map(float, target_spacing))
        if len(self.target_spacing) != 3 or min(self.target_spacing) <= 0:
            msg = f"The target spacing must be three positive numbers of millimetres, but got {list(target_spacing)}."
            raise ValueError(msg)
        self.num_classes = num_classes
        self.image_key = image_key
        self.label_key = label_key
        self.mask_key = mask_key
        self.clip = clip

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        present = list(self.key_iterator(result))
        if not present:
            return result
        shape = check_same_shape(result, present)
        # The same spacing for all volumes of the case, so that noise in a header cannot make their shapes differ.
        spacing = spacing_of(affine_of(result[present[0]])).tolist()
        new_shape = self._new_shape(shape, spacing)
        self._check_size(result, present, spacing, new_shape)
        for key in present:
            volume = result[key]
            affine = self._new_affine(affine_of(volume), shape, new_shape)
            resampled = self._resample(key, as_volume(volume, key), spacing)
            result[key] = new_volume(resampled, volume, affine, **self._notes(spacing))
        return result

    def _new_shape(self, shape: Shape, spacing: Sequence[float]) -> Shape:
        return resampled_shape(shape, spacing, self.target_spacing)

    def _new_affine(self, affine: Affine, shape: Shape, new_shape: Shape) -> Affine:
        return resampled_affine(affine, shape, new_shape, self.target_spacing)

    def _notes(self, spacing: Sequence[float]) -> dict[str, Any]:
        """Meta entries that undoing needs."""
        del spacing
        return {}

    def _check_size(
        self, data: Mapping[Hashable, Any], keys: Sequence[Hashable], spacing: Sequence[float], shape: Sequence[int]
    ) -> None:
        """Refuse a grid that no memory holds before any is taken: a header in another unit asks for terabytes."""
        num_channels = sum(len(data[key]) for key in keys)
        num_bytes = float(math.prod(shape)) * num_channels * np.dtype(np.float32).itemsize
        if num_bytes <= total_memory():
            return
        sides = "{:.4g} x {:.4g} x {:.4g}"
        message = (
            f"{describe(data[keys[0]], keys[0])} has voxels of {sides.format(*spacing)} mm; at the model's spacing of "
            f"{sides.format(*self.target_spacing)} mm it would be a grid of {' x '.join(map(str, shape))} voxels "
            f"({format_bytes(num_bytes)}), which does not fit into the memory of this machine. Check the spacing and "
            "its unit in the header."
        )
        raise ValueError(message)

    def _resample(self, key: Hashable, array: NDArray[Any], spacing: Sequence[float]) -> NDArray[Any]:
        if key == self.image_key:
            return resample_image(array, spacing, self.target_spacing, clip=self.clip)
        if key == self.mask_key:
            return resample_nearest(array, spacing, self.target_spacing)
        if np.issubdtype(array.dtype, np.floating):
            array = array.astype(np.int16)
        num_classes = int(array.max()) + 1 if self.num_classes is None else self.num_classes
        return resample_label(array[0], spacing, self.target_spacing, num_classes)[None]
