"""Surface-dilation Dice: surfaces must agree up to a tolerance in millimetres."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from .channels import ChannelLoss, Target, label_of

_SMALL = 1e-6
_TOLERANCE_IN_VOXELS = 1.25  # of the coarsest axis: then the tolerance reaches the next voxel along every axis (MIST)


class SurfaceDilationLoss(ChannelLoss):
    """1 - Dice of the dilated soft surfaces of truth and prediction, for each foreground class (mist-medical 2.3.0).

    The soft surface is p minus its erosion by 3 x 3 x 3 voxels; it is widened along each axis by the voxels that cover
    the tolerance, ceil(tolerance / spacing). A class in neither of the two costs nothing.

    Args:
        spacing_mm: voxel size along X, Y, Z, the axes of the tensors.
        regions, ignore_index, class_weights, mixed: as for `ChannelLoss`.
        tolerance_mm: None for 1.25 times the coarsest spacing.
    """

    def __init__(
        self,
        spacing_mm: Sequence[float],
        regions: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        class_weights: Sequence[float] | None = None,
        tolerance_mm: float | None = None,
        mixed: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__(regions, ignore_index, class_weights, mixed)
        if len(spacing_mm) != 3 or min(spacing_mm) <= 0:
            raise ValueError(f"spacing_mm is {list(spacing_mm)}; expected three numbers above 0.")
        tolerance = _TOLERANCE_IN_VOXELS * max(spacing_mm) if tolerance_mm is None else tolerance_mm
        self.radii = tuple(math.ceil(tolerance / spacing) for spacing in spacing_mm)

    def forward(self, logits: torch.Tensor, target: Target) -> torch.Tensor:
        """Loss of logits (B, C, X, Y, Z) against class indices (B, 1, X, Y, Z)."""
        label, channels = label_of(target), self.channels
        scores, truth = channels.compare(logits, label)
        scores = dilate(_surface(channels.foreground(scores)), self.radii)
        truth = dilate(_surface(channels.foreground(truth)), self.radii)
        valid = channels.valid(label)
        if valid is not None:
            scores, truth = scores * valid, truth * valid
        overlap = (scores * truth).flatten(2).sum(dim=2)
        total = scores.flatten(2).sum(dim=2) + truth.flatten(2).sum(dim=2)
        return channels.weighted_mean(
            1 - (2 * overlap + _SMALL) / (total + _SMALL), foreground=True, known=self.known(target, logits)
        )


def _surface(mask: torch.Tensor) -> torch.Tensor:
    return mask + functional.max_pool3d(-mask, kernel_size=3, stride=1, padding=1)


def dilate(values: torch.Tensor, radii: Sequence[int]) -> torch.Tensor:
    """Largest value within a box of 2 radius + 1 voxels along X, Y, Z of (B, C, X, Y, Z); axis after axis."""
    for axis, radius in enumerate(radii):
        kernel, padding = [1, 1, 1], [0, 0, 0]
        kernel[axis], padding[axis] = 2 * radius + 1, radius
        if radius > 0:
            values = functional.max_pool3d(values, kernel_size=kernel, stride=1, padding=padding)
    return values
