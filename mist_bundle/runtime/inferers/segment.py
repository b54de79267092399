"""From an image to the label map on the grid of its file, cell by cell: no class ever fills a whole volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor, decollate_batch, list_data_collate

from ..numerics.restore import NO_AXIS
from ..numerics.restore_cells import LabelMapFromCells
from ..predictions.confidence import Confidence
from ..predictions.maps import ScoreMaps
from ..transforms.restore import on_original_grid, torch_friendly
from ..transforms.volume import CROP_BOX, NEAREST_AXIS, affine_of, meta_of, original_grid
from .ensemble import LOGITS, PROBABILITIES, EnsembleInferer


class SegmentInferer:
    """Label maps (B, 1, X, Y, Z) on the grid of the file, computed while the windows run.

    Args:
        ensemble: gives the scores.
        labels: label value of each class, background first; with `region_order`, the label that each region writes.
        region_order: for regions that may overlap: the order in which they are written over each other.
        maps: keeps the scores of a case for the maps that are written of them.
        restore: what is interpolated on the grid of the file before classes are chosen: "probabilities", or "logits"
            as nnU-Net does.
        confidence: calibrates probabilities and sums up the expected Dice; the label map is what it is without.
    """

    def __init__(
        self,
        ensemble: EnsembleInferer,
        labels: Sequence[int],
        region_order: Sequence[int] | None = None,
        maps: ScoreMaps | None = None,
        restore: str = PROBABILITIES,
        confidence: Confidence | None = None,
    ) -> None:
        if restore not in (PROBABILITIES, LOGITS):
            raise ValueError(f"restore is {restore!r}; expected {PROBABILITIES} or {LOGITS}.")
        self.ensemble = ensemble
        self.labels = list(map(int, labels))
        self.region_order = None if region_order is None else list(map(int, region_order))
        self.maps = maps
        self.restore = restore
        self.confidence = confidence if confidence is not None and confidence.is_known else None

    def __call__(self, inputs: torch.Tensor, network: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Segment a batch of prepared images whose meta dictionaries tell the grids of their files.

        Raises:
            ValueError: the images of a batch come from files of different shapes.
        """
        maps = [self._segment(image, network) for image in _images(inputs)]
        shapes = {tuple(label_map.shape) for label_map in maps}
        if len(shapes) > 1:
            raise ValueError("The files of a batch differ in shape; predict them one at a time.")
        if isinstance(inputs, MetaTensor) and inputs.is_batch:
            batch: torch.Tensor = list_data_collate(maps)  # each with its own grid again
            return batch
        return maps[0][None] if len(maps) == 1 else torch.stack([label_map.as_tensor() for label_map in maps])

    def _segment(self, image: torch.Tensor, network: Any) -> MetaTensor:
        reference = image if isinstance(image, MetaTensor) else MetaTensor(image)
        affine, shape = _grid_of_file(reference)
        meta = meta_of(reference)
        nearest = int(meta.get(NEAREST_AXIS, NO_AXIS))
        grids = (reference.shape[1:], affine_of(reference), affine, shape, meta.get(CROP_BOX))
        of_logits = self.restore == LOGITS
        threshold = 0.0 if of_logits else 0.5
        label_map = LabelMapFromCells(*grids, self.labels, self.region_order, threshold, nearest)
        kept = None if self.maps is None else self.maps.begin(*grids, nearest)
        if self.confidence is not None:
            self.confidence.begin()
        for cell, box, blended in self.ensemble.cells(reference.as_tensor(), network, activate=not of_logits):
            scores = blended.cpu().numpy()
            label_map.add(cell, box, scores[: len(self.labels)])
            if kept is None and self.confidence is None:
                continue
            if of_logits:
                scores = self.ensemble.activated(blended).cpu().numpy()
            if self.confidence is not None:
                calibrated = self.confidence.add(scores[: len(self.labels)])
                scores = np.concatenate([calibrated, scores[len(self.labels) :]])
            if self.maps is not None and kept is not None:
                kept.add(box, scores[self.maps.kept(len(self.labels))])
        return on_original_grid(torch_friendly(label_map.label_map)[None], reference, affine)


def _images(inputs: torch.Tensor) -> list[torch.Tensor]:
    if isinstance(inputs, MetaTensor) and inputs.is_batch:
        return list(decollate_batch(inputs))
    return list(inputs)


def _grid_of_file(image: MetaTensor) -> tuple[np.ndarray, tuple[int, ...]]:
    """The grid of the label map: that of the image itself where it knows of no file."""
    try:
        return original_grid(image, "image")
    except ValueError:
        return affine_of(image), tuple(image.shape[1:])
