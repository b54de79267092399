"""Scores of one case: each final class of a predicted label map against the reference, in millimetres.

Surfaces are found once per class, on the box that holds both masks, and shared by all metrics that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .surfels import EMPTY_CODE, FULL_CODE, neighbour_codes, surface_areas

HD95_QUANTILE = 0.95


@dataclass
class MaskPair:
    """A predicted and a reference mask of one class, (X, Y, Z), and what the metrics need to know about them."""

    prediction: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]

    @cached_property
    def num_prediction(self) -> int:
        """Voxels of the prediction."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def num_reference(self) -> int:
        """Voxels of the reference."""
        return int(np.count_nonzero(self.reference))

    @cached_property
    def diagonal_mm(self) -> float:
        """Diagonal of the image: what a distance is when only one of the masks is empty (MIST)."""
        extent = np.asarray(self.prediction.shape) * np.asarray(self.spacing_mm)
        return float(np.linalg.norm(extent))

    @cached_property
    def surfaces(self) -> tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]:
        """(distances in mm, areas in mm²) of the reference's surface to the prediction's, and the other way."""
        box = ndimage.find_objects((self.prediction | self.reference).view(np.uint8))[0]
        areas = surface_areas(self.spacing_mm)
        codes = [neighbour_codes(np.ascontiguousarray(mask[box])) for mask in (self.reference, self.prediction)]
        borders = [(code != EMPTY_CODE) & (code != FULL_CODE) for code in codes]
        to_surface = [ndimage.distance_transform_edt(~border, sampling=self.spacing_mm) for border in borders]
        forward = (to_surface[1][borders[0]], areas[codes[0][borders[0]]])
        backward = (to_surface[0][borders[1]], areas[codes[1][borders[1]]])
        return forward, backward


def dice(pair: MaskPair) -> float:
    """2|A∩B| / (|A| + |B|); 1 when both are empty."""
    total = pair.num_prediction + pair.num_reference
    if total == 0:
        return 1.0
    return 2.0 * int(np.count_nonzero(pair.prediction & pair.reference)) / total


def hd95(pair: MaskPair) -> float:
    """95th percentile of the surface distances in mm, weighted by surface area, the larger of both directions.

    0 when both masks are empty, the image's diagonal when one is. The definition is that of google-deepmind's
    surface-distance, which MIST uses.
    """
    if pair.num_prediction == 0 or pair.num_reference == 0:
        return 0.0 if pair.num_prediction == pair.num_reference else pair.diagonal_mm
    return max(_weighted_quantile(*one, HD95_QUANTILE) for one in pair.surfaces)


def _weighted_quantile(distances: NDArray[Any], areas: NDArray[Any], quantile: float) -> float:
    order = np.argsort(distances)
    shares = np.cumsum(areas[order]) / areas.sum()
    return float(distances[order[min(int(np.searchsorted(shares, quantile)), len(order) - 1)]])


METRICS: dict[str, Callable[[MaskPair], float]] = {"dice": dice, "hd95": hd95}


def score_case(
    prediction: NDArray[Any],
    reference: NDArray[Any],
    spacing_mm: Sequence[float],
    final_classes: Mapping[str, Sequence[int]],
    metrics: Sequence[str],
) -> dict[str, float]:
    """The scores of a case.

    Args:
        prediction: (X, Y, Z) label map.
        reference: (X, Y, Z) label map in the same grid.
        spacing_mm: voxel size along X, Y, Z.
        final_classes: class name -> the label values it is made of.
        metrics: names out of METRICS.

    Returns:
        "<class>_<metric>" -> value.

    Raises:
        ValueError: a metric is unknown.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        near = get_close_matches(unknown[0], METRICS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown metrics {unknown}; known: {', '.join(METRICS)}.{hint}")
    x, y, z = (float(size) for size in spacing_mm)
    scores = {}
    for class_name, labels in final_classes.items():
        pair = MaskPair(np.isin(prediction, labels), np.isin(reference, labels), (x, y, z))
        scores.update({f"{class_name}_{name}": METRICS[name](pair) for name in metrics})
    return scores
