"""Add the signed distance maps that boundary losses need."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.transforms import MapTransform

from ..numerics.distance import distance_maps
from ..numerics.grid import spacing_of
from .volume import affine_of, as_volume, new_volume


class DistanceMapsd(MapTransform):
    """Signed distance of every voxel from each class: 0 on the border, negative inside, positive outside.

    Args:
        num_classes: including the background, which has a map too.
        label_key: (1, X, Y, Z) class indices.
        output_key: where the (C, X, Y, Z) float32 maps go.
        normalize: scale the outside to (0, 1] and the inside to [-1, 0).
        use_spacing: measure in millimetres instead of voxels.
        regions: class indices of each region; the maps are then of the regions instead of the classes.
    """

    def __init__(
        self,
        num_classes: int,
        label_key: str = "label",
        output_key: str = "dtm",
        normalize: bool = True,
        use_spacing: bool = False,
        regions: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__(label_key)
        self.num_classes = num_classes
        self.label_key = label_key
        self.output_key = output_key
        self.normalize = normalize
        self.use_spacing = use_spacing
        self.regions = regions

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Apply to the dictionary of a case; other entries stay as they are."""
        label = data[self.label_key]
        spacing = spacing_of(affine_of(label)).tolist() if self.use_spacing else None
        indices = as_volume(label, self.label_key)[0]
        maps = distance_maps(indices, self.num_classes, self.normalize, spacing, self.regions)
        return {**data, self.output_key: new_volume(maps, label)}
