"""Dice of validation cases from class indices: no mask for each class, so memory does not grow with the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.metrics import CumulativeIterationMetric
from monai.metrics.utils import do_metric_reduction

_VOXELS_AT_A_TIME = 1 << 24


class DiceOfIndices(CumulativeIterationMetric):
    """MONAI's mean Dice, of predictions and labels that are class indices.

    A class that the label does not have says nothing (NaN) and does not count in the mean, as in MONAI's DiceMetric.

    Args:
        num_classes: with the background, which is not scored.
        regions: class indices of each region, for predictions that are masks of regions; None for classes.
        ignore_index: index in the label of voxels that do not count.
        mixed: further index in the label (as text) -> the classes that its voxels may have, 0 among them. Such a voxel
            counts as background, and classes or regions that some voxel of a case may have say nothing there (NaN).
    """

    def __init__(
        self,
        num_classes: int,
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        mixed: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = int(num_classes)
        self.regions = None if regions is None else [list(region) for region in regions]
        self.ignore_index = ignore_index
        self.mixed = {int(index): set(map(int, classes)) - {0} for index, classes in (mixed or {}).items()}

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
        """Dice (B, classes) of indices (B, 1, X, Y, Z), or of masks (B, R, X, Y, Z), against indices (B, 1, X, Y, Z).

        Raises:
            ValueError: there is no label, or the shapes differ.
        """
        if y is None or y.shape[2:] != y_pred.shape[2:] or len(y) != len(y_pred):
            label_shape = None if y is None else tuple(y.shape)
            raise ValueError(f"The prediction has shape {tuple(y_pred.shape)}, but the label {label_shape}.")
        rows = []
        for prediction, label in zip(y_pred, y, strict=True):
            flat = label.flatten().to(prediction.device)
            unknown = set()
            for index, classes in self.mixed.items():
                here = flat == index
                if here.any():
                    unknown |= classes
                    flat = torch.where(here, torch.zeros_like(flat), flat)
            counts = self._counts(prediction.flatten(1), flat)
            both, predicted, labelled = counts.double()
            dice = 2 * both / (predicted + labelled)
            dice = torch.where(labelled > 0, dice, torch.nan).float()
            dice[self._scored_as(unknown)] = torch.nan
            rows.append(dice)
        return torch.stack(rows)

    def _scored_as(self, unknown: set[int]) -> list[int]:
        """The places, in a row of scores, of the classes or regions that any of these classes belongs to."""
        if self.regions is None:
            return [index - 1 for index in sorted(unknown)]
        return [place for place, members in enumerate(self.regions) if unknown & set(members)]

    def aggregate(self) -> Any:
        """Mean over the classes of each case, then over the cases."""
        return do_metric_reduction(self.get_buffer(), "mean")[0]

    def _counts(self, prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Voxels (3, classes) of both, of the prediction and of the label; a part of the volume at a time."""
        total: torch.Tensor | int = 0
        for start in range(0, len(label), _VOXELS_AT_A_TIME):
            part = slice(start, start + _VOXELS_AT_A_TIME)
            if self.regions is None:
                total = total + self._class_counts(prediction[0, part], label[part])
            else:
                total = total + self._region_counts(prediction[:, part], label[part], self.regions)
        return torch.as_tensor(total)

    def _class_counts(self, prediction: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        prediction, label = prediction.long(), label.long()
        if self.ignore_index is not None:
            counted = label != self.ignore_index
            prediction, label = prediction[counted], label[counted]
        counts = []
        for indices in (label[prediction == label], prediction, label):
            counts.append(torch.bincount(indices, minlength=self.num_classes)[1:])
        return torch.stack(counts)

    def _region_counts(
        self, prediction: torch.Tensor, label: torch.Tensor, regions: Sequence[Sequence[int]]
    ) -> torch.Tensor:
        counted = None if self.ignore_index is None else label != self.ignore_index
        counts = []
        for predicted, indices in zip(prediction.bool(), regions, strict=True):
            labelled = torch.isin(label, torch.tensor(indices, device=label.device, dtype=label.dtype))
            if counted is not None:
                labelled, predicted = labelled & counted, predicted & counted
            counts.append(torch.stack([(predicted & labelled).sum(), predicted.sum(), labelled.sum()]))
        return torch.stack(counts, dim=1)
