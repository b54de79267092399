"""The formulas of the losses once more, in numpy and scipy, one value a sample and channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, softmax

from tests.runtime.losses.samples import SPACING

Array = NDArray[np.float64]


class Problem:
    """Scores and truth of a problem: `scores`, `truth` (B, C, X, Y, Z), without the background where `foreground`."""

    def __init__(self, label: Any, logits: Any, maps: Any, regions: Sequence[Sequence[int]] | None) -> None:
        self.logits = logits.numpy()
        members = [[index] for index in range(self.logits.shape[1])] if regions is None else regions
        self.truth = np.concatenate([np.isin(label.numpy(), member) for member in members], axis=1).astype(float)
        self.scores = softmax(self.logits, axis=1) if regions is None else expit(self.logits)
        self.maps = maps.numpy()
        self.exclusive = regions is None
        first = 1 if self.exclusive else 0
        self.p, self.y, self.d = self.scores[:, first:], self.truth[:, first:], self.maps[:, first:]


def _sum(values: Array) -> Array:
    return values.sum(axis=(2, 3, 4))


def _mean(values: Array) -> Array:
    return values.mean(axis=(2, 3, 4))


def dice(one: Problem) -> Array:
    y, p = one.truth, one.scores
    return _sum((y - p) ** 2) / (_sum(y**2) + _sum(p**2) + 1e-6)


def cross_entropy(one: Problem) -> Array:
    """Voxel means a channel; with classes their sum over channels is the cross-entropy."""
    if one.exclusive:
        return -_mean(one.truth * np.log(one.scores))
    return -_mean(one.truth * np.log(one.scores) + (1 - one.truth) * np.log(1 - one.scores))


def focal(one: Problem) -> Array:
    right = one.scores if one.exclusive else np.where(one.truth > 0, one.scores, 1 - one.scores)
    voxels = -((1 - right) ** 2) * np.log(right)
    return _mean(voxels * one.truth) if one.exclusive else _mean(voxels)


def boundary(one: Problem) -> Array:
    return _mean(one.d * one.p)


def hausdorff_one_sided(one: Problem) -> Array:
    return _mean((one.y - one.p) ** 2 * one.d**2)


def generalized_surface(one: Problem) -> Array:
    return 1 - _sum((one.d * (1 - (one.y + one.p))) ** 2) / (_sum(one.d**2) + 1e-6)


def hausdorff(one: Problem) -> Array:
    def field(mask: Array) -> Array:
        inside = mask > 0.5
        if inside.all() or not inside.any():
            return np.zeros(mask.shape)
        return ndimage.distance_transform_edt(inside) + ndimage.distance_transform_edt(~inside)

    fields = [[field(p) ** 2 + field(y) ** 2 for p, y in zip(*pair, strict=True)] for pair in zip(one.p, one.y)]  # noqa: B905
    return _mean((one.y - one.p) ** 2 * np.array(fields))


def _each(function: Any, masks: Array) -> Array:
    return np.array([[function(mask) for mask in sample] for sample in masks])


CROSS = ndimage.generate_binary_structure(3, 1)


def _erode(mask: Array) -> Array:
    return ndimage.minimum_filter(mask, footprint=CROSS, mode="constant", cval=np.inf)


def _open(mask: Array) -> Array:
    return ndimage.maximum_filter(_erode(mask), size=3, mode="constant", cval=-np.inf)


def _skeleton(mask: Array, iterations: int = 10) -> Array:
    skeleton = np.maximum(mask - _open(mask), 0)
    for _ in range(iterations):
        mask = _erode(mask)
        delta = np.maximum(mask - _open(mask), 0)
        skeleton = skeleton + np.maximum(delta - skeleton * delta, 0)
    return skeleton


def cldice(one: Problem) -> Array:
    skeletons = [_each(_skeleton, masks) for masks in (one.p, one.y)]
    precision = (_sum(skeletons[0] * one.y) + 1) / (_sum(skeletons[0]) + 1)
    sensitivity = (_sum(skeletons[1] * one.p) + 1) / (_sum(skeletons[1]) + 1)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def blob(one: Problem) -> Array:
    """Dice of each instance with the voxels of the others removed."""
    losses = np.zeros(one.y.shape[:2])
    for sample, channel in np.ndindex(*losses.shape):
        instances, count = ndimage.label(one.y[sample, channel], structure=np.ones((3, 3, 3)))
        alone = []
        for number in range(1, count + 1):
            kept = np.isin(instances, (0, number))
            y, p = one.y[sample, channel][kept], one.p[sample, channel][kept]
            alone.append(((y - p) ** 2).sum() / ((y**2).sum() + (p**2).sum() + 1e-6))
        losses[sample, channel] = np.mean(alone) if alone else 0.0
    return losses


def surface_dilation(one: Problem, spacing: Sequence[float]) -> Array:
    tolerance = 1.25 * max(spacing)
    size = [2 * math.ceil(tolerance / axis) + 1 for axis in spacing]

    def widened(mask: Array) -> Array:
        surface = mask - ndimage.minimum_filter(mask, size=3, mode="constant", cval=np.inf)
        return ndimage.maximum_filter(surface, size=size, mode="constant", cval=-np.inf)

    p, y = _each(widened, one.p), _each(widened, one.y)
    return 1 - 2 * _sum(p * y) / (_sum(p) + _sum(y))


def generalized_dice(one: Problem, weights: Sequence[float] | None = None) -> float:
    """Sudre's formula; a class that is absent takes the largest weight of its sample."""
    losses = []
    for p, y in zip(one.scores, one.truth, strict=True):
        volumes = y.sum(axis=(1, 2, 3))
        weight = np.array([1 / volume**2 if volume else 0.0 for volume in volumes])
        weight[volumes == 0] = weight.max()
        weight *= 1.0 if weights is None else np.array(weights)
        overlap = (weight * (p * y).sum(axis=(1, 2, 3))).sum()
        total = (weight * (p.sum(axis=(1, 2, 3)) + volumes)).sum()
        losses.append(1 - (2 * overlap + 1e-5) / (total + 1e-5))
    return float(np.mean(losses))


PER_CHANNEL = {
    "dice": dice,
    "cldice": cldice,
    "blob": blob,
    "boundary": boundary,
    "hausdorff_one_sided": hausdorff_one_sided,
    "hausdorff": hausdorff,
    "generalized_surface": generalized_surface,
    "volumetric_sddl": lambda one: surface_dilation(one, SPACING),
}


def expected(name: str, one: Problem, weights: list[float] | None) -> float:
    """The value of a term of the menu."""
    if name == "generalized_dice":
        return generalized_dice(one, weights)
    if name in ("dice_ce", "dice_focal"):
        factors = np.ones(one.truth.shape[1]) if weights is None else np.array(weights)
        other = cross_entropy(one) if name == "dice_ce" else focal(one)
        mean = (factors * other).mean(axis=0)
        second = mean.sum() if one.exclusive else mean.mean()
        if name == "dice_ce" and one.exclusive:  # torch divides by the weights of the voxels' own classes
            second /= (factors * one.truth.mean(axis=(0, 2, 3, 4))).sum()
        return 0.5 * float((factors * dice(one)).mean() + second)
    values = PER_CHANNEL[name](one)
    if weights is None:
        return float(values.mean())
    return float((values * np.array(weights[-values.shape[1] :])).mean())


# mist-medical 2.3.0 (its own code, float64) for `label_and_logits`; (share of Dice + CE one half, share nothing)
MIST = {
    "dice": (0.6382794267607299, 0.6382794267607299),
    "dice_ce": (0.9296604106858524, 0.9296604106858524),
    "cldice": (0.872636188264599, 0.8156119658433456),
    "boundary": (0.529997576824031, 0.13033474296220968),
    "hausdorff_one_sided": (0.480685271443161, 0.03171013220046957),
    "generalized_surface": (0.7304650631292433, 0.5312697155726341),
    "volumetric_sddl": (0.7991567967647023, 0.6686531828435522),
    "vessel_sddl": (0.7706446855540756, 0.6686531828435522),
}
