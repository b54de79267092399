"""Class indices to one mask a region, for comparing them with a network whose outputs may overlap."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform


class LabelToRegionsd(MapTransform):
    """Replace class indices (1, X, Y, Z) by masks (R, X, Y, Z), 1 inside a region and 0 outside.

    Args:
        keys: of the class indices.
        regions: class indices of each region; they may overlap.
    """

    def __init__(self, keys: KeysCollection, regions: Sequence[Sequence[int]]) -> None:
        super().__init__(keys)
        self.regions = [[int(index) for index in region] for region in regions]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same dictionary, with masks."""
        result = dict(data)
        for key in self.key_iterator(result):
            label = torch.as_tensor(result[key])
            masks = [torch.isin(label, torch.tensor(region, device=label.device)) for region in self.regions]
            result[key] = torch.cat(masks).to(torch.uint8)
        return result
