"""Surface metrics written down once more from their definition: MONAI's table of areas, scipy's distance maps."""

from __future__ import annotations

import numpy as np
from monai.metrics.utils import create_table_neighbour_code_to_surface_area as _monais_table
from scipy import ndimage


def surface_metrics(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float, float], tolerance_mm: float
) -> dict[str, float]:
    """Every metric of two masks that have voxels."""
    sides = [_surface(np.pad(mask, 1), spacing_mm) for mask in (prediction, reference)]
    maps = [ndimage.distance_transform_edt(areas == 0, sampling=spacing_mm) for areas in sides]
    distances = [maps[1][sides[0] > 0], maps[0][sides[1] > 0]]
    areas = [side[side > 0] for side in sides]
    total = sum(one.sum() for one in areas)
    sums = [float((one * weight).sum()) for one, weight in zip(distances, areas, strict=True)]
    within = sum(weight[one <= tolerance_mm].sum() for one, weight in zip(distances, areas, strict=True))
    return {
        "hd95": max(_percentile(one, weight, 0.95) for one, weight in zip(distances, areas, strict=True)),
        "hausdorff": max(float(one.max()) for one in distances),
        "surface_dice": float(within / total),
        "normalized_surface_distance": float(within / total),
        "average_surface_distance": sum(sums) / total,
        "average_symmetric_surface_distance": sum(sums) / total,
        "directed": sums[0] / areas[0].sum(),
    }


def _surface(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The area of the surface in each 2x2x2 neighbourhood, 0 where there is none."""
    areas, kernel = (np.asarray(one, dtype=np.float64) for one in _monais_table(spacing_mm))
    codes = ndimage.correlate(mask.astype(np.float64), kernel.reshape(2, 2, 2), mode="constant", cval=0)
    table: np.ndarray = areas[codes.round().astype(int)]
    return table


def _percentile(distances: np.ndarray, areas: np.ndarray, fraction: float) -> float:
    order = np.argsort(distances)
    reached = np.cumsum(areas[order]) / areas.sum()
    return float(distances[order][np.argmax(reached >= fraction - 1e-9)])


def lesion_metrics(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: tuple[float, float, float],
    *,
    tolerance_mm: float,
    diagonal_mm: float,
    min_volume_mm3: float,
    dilation: int,
) -> dict[str, float]:
    """Lesion-wise metrics as the BraTS challenges define them, lesion by lesion on whole arrays."""
    neighbours, growth = np.ones((3, 3, 3)), ndimage.generate_binary_structure(3, 2)
    voxel_mm3 = float(np.prod(spacing_mm))
    joined, num_lesions = ndimage.label(ndimage.binary_dilation(reference, growth, iterations=dilation), neighbours)
    lesions = joined * reference
    parts, num_parts = ndimage.label(prediction, neighbours)
    belongs: set[int] = set()
    rows = []
    for number in range(1, num_lesions + 1):
        lesion = lesions == number
        grown = ndimage.binary_dilation(lesion, growth, iterations=dilation)
        touched = set(np.unique(parts[grown])) - {0}
        belongs |= touched
        if lesion.sum() * voxel_mm3 <= min_volume_mm3:
            continue
        found = np.isin(parts, list(touched))
        if not touched:
            rows.append((0.0, diagonal_mm, 0.0, False))
            continue
        surfaces = surface_metrics(found, lesion, spacing_mm, tolerance_mm)
        dice = 2 * (found & lesion).sum() / (found.sum() + lesion.sum())
        rows.append((float(dice), surfaces["hd95"], surfaces["surface_dice"], True))
    invented = sum(number not in belongs for number in range(1, num_parts + 1))
    rows += [(0.0, diagonal_mm, 0.0, False)] * int(invented)
    missed = sum(not row[3] for row in rows) - int(invented)
    hits = sum(row[3] for row in rows)
    return {
        "lesion_dice": float(np.mean([row[0] for row in rows])),
        "lesion_hd95": float(np.mean([row[1] for row in rows])),
        "lesion_surface_dice": float(np.mean([row[2] for row in rows])),
        "lesion_f1": 2 * hits / (2 * hits + invented + missed),
        "lesion_false_positives": float(invented),
        "lesion_false_negatives": float(missed),
    }
