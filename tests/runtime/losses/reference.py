"""The formulas of the losses once more, in numpy and scipy, one value a sample and channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit, softmax

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
