"""Carry the uncertainty of a prediction back to the file that the user gave, beside the label map."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform

from ..numerics.restore import restore_maps
from .restore import on_original_grid
from .volume import CROP_BOX, affine_of, as_volume, meta_of, original_grid


class RestoreUncertaintyd(MapTransform):
    """Take the maps behind the class probabilities off a prediction and restore them to the grid of the original file.

    Outside the crop, where nothing was predicted, they are 0.

    Args:
        keys: predictions (C + maps, X, Y, Z) on the grid of the reference; their first C channels stay under the key.
        num_classes: C.
        output_keys: of the restored maps (1, X, Y, Z), in the order of the channels.
        reference_key: the prepared image, whose meta dictionary tells the original grid and the crop.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        num_classes: int = 2,
        output_keys: Sequence[str] = ("entropy", "disagreement"),
        reference_key: str = "image",
    ) -> None:
        super().__init__(keys)
        self.num_classes = num_classes
        self.output_keys = tuple(output_keys)
        self.reference_key = reference_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Split and restore."""
        result = dict(data)
        reference = result[self.reference_key]
        affine, shape = original_grid(reference, self.reference_key)
        for key in self.key_iterator(result):
            channels = len(result[key])
            if channels != self.num_classes + len(self.output_keys):
                msg = f"{key!r} has {channels} channels; expected {self.num_classes} classes and {self.output_keys}."
                raise ValueError(msg)
            maps = as_volume(result[key], key)[self.num_classes :]
            crop = meta_of(reference).get(CROP_BOX)
            restored = restore_maps(maps, affine_of(reference), affine, shape, crop)
            for name, one in zip(self.output_keys, restored, strict=True):
                result[name] = on_original_grid(one[None], reference, affine)
            result[key] = result[key][: self.num_classes]
        return result
