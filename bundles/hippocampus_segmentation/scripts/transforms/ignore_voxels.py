"""Take voxels that nobody has labelled out of a comparison: prediction and label agree there that nothing is."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import MapTransform

_CERTAIN = 1e4  # a score whose softmax and sigmoid are 1


class IgnoreVoxelsd(MapTransform):
    """Background in the label and, by a wide margin, in the scores, wherever the label holds `ignore_index`.

    Args:
        ignore_index: class index of the voxels that do not count.
        exclusive: whether channel 0 of the scores is a background (softmax) or the channels are regions (sigmoid).
        pred_key: scores (C, X, Y, Z).
        label_key: class indices (1, X, Y, Z).
    """

    def __init__(
        self, ignore_index: int, exclusive: bool = True, pred_key: str = "pred", label_key: str = "label"
    ) -> None:
        super().__init__((pred_key, label_key))
        self.ignore_index = ignore_index
        self.exclusive = exclusive
        self.pred_key = pred_key
        self.label_key = label_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same dictionary; the arrays that came in are left as they are."""
        scores, label = torch.as_tensor(data[self.pred_key]), torch.as_tensor(data[self.label_key])
        ignored = label == self.ignore_index
        nothing = torch.full_like(scores, -_CERTAIN)
        if self.exclusive:
            nothing[0] = _CERTAIN
        return {
            **data,
            self.pred_key: torch.where(ignored.to(scores.device), nothing, scores),
            self.label_key: torch.where(ignored, torch.zeros_like(label), label),
        }
