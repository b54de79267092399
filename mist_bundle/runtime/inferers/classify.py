"""Which class each voxel is, cell by cell on the grid of the image: what a validation during training compares."""

from __future__ import annotations

from typing import Any

import torch
from monai.data import MetaTensor

from .ensemble import EnsembleInferer

_HALF = 0.5


class ClassifyInferer:
    """Class indices, or masks of regions, computed while the windows run: scores never fill a volume.

    Args:
        ensemble: gives the scores. Its activation says whether its channels exclude each other.
    """

    def __init__(self, ensemble: EnsembleInferer) -> None:
        self.ensemble = ensemble

    def __call__(self, inputs: torch.Tensor, network: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Classify a batch of images (B, channels, X, Y, Z), on their device.

        Returns:
            int16 indices (B, 1, X, Y, Z) of the classes with the largest scores; of regions that may overlap masks
            (B, R, X, Y, Z), true where the probability is at least 0.5.
        """
        images = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        if self.ensemble.activation == "sigmoid":
            return torch.stack([self._regions(image, network) for image in images])
        return torch.stack([self._indices(image, network) for image in images])

    def _indices(self, image: torch.Tensor, network: Any) -> torch.Tensor:
        indices = torch.empty((1, *image.shape[1:]), dtype=torch.int16, device=image.device)
        for _, box, scores in self.ensemble.cells(image, network, activate=False):
            indices[(0, *box)] = scores.argmax(dim=0).to(indices)
        return indices

    def _regions(self, image: torch.Tensor, network: Any) -> torch.Tensor:
        masks = torch.empty(0)
        for _, box, probabilities in self.ensemble.cells(image, network):
            if len(masks) == 0:
                masks = torch.empty((len(probabilities), *image.shape[1:]), dtype=torch.bool, device=image.device)
            masks[(slice(None), *box)] = (probabilities >= _HALF).to(masks.device)
        return masks
