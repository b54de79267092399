"""Carry a prediction back to the user's file: its grid, its affine, its label values."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray

from ..numerics.restore import restore_label_from_regions, restore_label_from_scores, restore_scores
from .volume import CROP_BOX, affine_of, as_volume, describe, meta_of, new_volume, original_grid


class RestoreSegmentationd(MapTransform):
    """Turn class scores on the prepared grid into a label map on the grid of the original file.

    Crop, reorientation and resampling are undone at once, as the affines say. Each class is interpolated linearly and
    the largest wins; outside the crop everything is background.

    Args:
        keys: scores (C, X, Y, Z) on the grid of the reference; each becomes a label map (1, X, Y, Z).
        labels: label value of each class, background first; with `region_order`, the label that each region writes.
        reference_key: the prepared image, whose meta dictionary tells the original grid and the crop.
        probabilities_key: also keep the restored probabilities (C, X, Y, Z) here. Scores must then be probabilities,
            and `keys` a single key.
        region_order: for regions that may overlap: the order in which they are written over each other.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        labels: Sequence[int] = (0, 1),
        reference_key: str = "image",
        probabilities_key: str | None = None,
        region_order: Sequence[int] | None = None,
    ) -> None:
        super().__init__(keys)
        if probabilities_key is not None and len(self.keys) != 1:
            msg = f"Probabilities can be kept for a single key, but the keys are {self.keys}."
            raise ValueError(msg)
        self.labels = list(map(int, labels))
        self.reference_key = reference_key
        self.probabilities_key = probabilities_key
        self.region_order = None if region_order is None else list(map(int, region_order))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        result = dict(data)
        reference = result[self.reference_key]
        affine, shape = original_grid(reference, self.reference_key)
        for key in self.key_iterator(result):
            scores = as_volume(result[key], key)
            expected = tuple(reference.shape[1:])
            if scores.shape[1:] != expected:
                msg = (
                    f"The scores {key!r} have shape {scores.shape[1:]}, but {describe(reference, self.reference_key)} "
                    f"has {expected} after preparation; they must lie on the same grid."
                )
                raise ValueError(msg)
            grids = (affine_of(reference), affine, shape, meta_of(reference).get(CROP_BOX))
            if self.probabilities_key is not None:
                probabilities = restore_scores(scores, *grids, exclusive=self.region_order is None)
                result[self.probabilities_key] = on_original_grid(probabilities, reference, affine)
            if self.region_order is None:
                label = restore_label_from_scores(scores, *grids, self.labels)
            else:
                label = restore_label_from_regions(scores, *grids, self.labels, self.region_order)
            result[key] = on_original_grid(torch_friendly(label)[None], reference, affine)
        return result


def on_original_grid(array: NDArray[Any], reference: MetaTensor, affine: NDArray[np.float64]) -> MetaTensor:
    """A volume (C, X, Y, Z) on the grid of the original file, with the meta dictionary of the reference."""
    volume = new_volume(array, reference, affine, device="cpu")
    volume.meta.pop(CROP_BOX, None)
    return volume


def torch_friendly(label: NDArray[Any]) -> NDArray[Any]:
    """Torch does little with unsigned types above 8 bits; the saver finds the smallest type again."""
    if label.dtype == np.uint8:
        return label
    return label.astype(np.int64 if label.dtype.itemsize > 2 else np.int32)
