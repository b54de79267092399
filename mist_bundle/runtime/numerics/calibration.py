"""What probabilities are worth: scaling by a temperature, and the expected Dice of a prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

_SMALLEST = 1e-12
Probabilities = NDArray[np.floating[Any]]


def scaled(probabilities: Probabilities, temperature: float, *, exclusive: bool) -> Probabilities:
    """Probabilities after their logits are divided by a temperature (Guo et al., ICML 2017).

    Args:
        probabilities: (C, ...); of classes that exclude each other, or of regions, each of which is there or not.
        temperature: above 1 for predictions that are less certain, below 1 for more.
        exclusive: whether the channels exclude each other.

    Returns:
        The same shape, in float32. The order of the classes of a voxel stays.
    """
    clipped = np.clip(np.asarray(probabilities, dtype=np.float32), _SMALLEST, 1)
    if exclusive:
        powers = np.exp(np.log(clipped) / temperature)
        result: Probabilities = powers / powers.sum(axis=0, keepdims=True)
        return result
    # a float32 cannot tell 1 - 1e-12 from 1, whose logit would be infinite
    clipped = np.clip(clipped, 1e-7, 1 - 1e-7)
    odds = (np.log(clipped) - np.log1p(-clipped)) / temperature
    regions: Probabilities = expit(odds)
    return regions


class ExpectedDice:
    """Expected Dice of a prediction, from sums over its voxels; a part of the volume at a time.

    For each class: twice the probability inside the predicted mask, over the mask's voxels plus all of the probability.
    It is the Dice between the label map and what the probabilities say about the truth, with expectations in numerator
    and denominator; where the probabilities are calibrated, it foretells the Dice.

    Args:
        num_channels: of the probabilities.
        exclusive: whether the channels exclude each other; a region is predicted where it is more likely than not.
    """

    def __init__(self, num_channels: int, *, exclusive: bool) -> None:
        self.exclusive = exclusive
        self._inside = np.zeros(num_channels)
        self._probability = np.zeros(num_channels)
        self._voxels = np.zeros(num_channels)

    def add(self, probabilities: Probabilities) -> None:
        """Count a part (C, ...) of the volume."""
        flat = np.asarray(probabilities, dtype=np.float32).reshape(len(self._inside), -1)
        self._probability += flat.sum(axis=1, dtype=np.float64)
        if self.exclusive:
            chosen = flat.argmax(axis=0)
            largest = np.take_along_axis(flat, chosen[None], axis=0)[0]
            self._inside += np.bincount(chosen, weights=largest, minlength=len(flat))
            self._voxels += np.bincount(chosen, minlength=len(flat))
        else:
            masks = flat > 0.5
            self._inside += np.where(masks, flat, 0).sum(axis=1, dtype=np.float64)
            self._voxels += masks.sum(axis=1)

    def dice(self) -> list[float | None]:
        """A number for each channel; None where nothing is predicted, which says nothing about what may be missed."""
        values: list[float | None] = []
        for inside, probability, voxels in zip(self._inside, self._probability, self._voxels, strict=True):
            values.append(float(2 * inside / (voxels + probability)) if voxels else None)
        return values
