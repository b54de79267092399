"""Surface distances against their definition (MONAI tables areas in single precision) and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import compute_surface_dice
from scipy import ndimage

from mist_bundle.runtime.metrics.case import metric_function
from mist_bundle.runtime.metrics.menu import METRICS
from mist_bundle.runtime.metrics.surface import SurfaceDistances, average_surface_distance, surface_dice

from .independent import surface_metrics

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (1.1, 0.8, 2.3)]


def _blob(seed: int, shift: int = 0) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(22, 20, 14)), 1.5)
    return np.roll(noise > 0.6 * noise.std(), shift, axis=0)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize(("seed", "other", "shift"), [(0, 0, 2), (1, 2, 0), (3, 3, 5)])
def test_every_surface_metric_is_its_definition(spacing_mm, seed, other, shift) -> None:
    prediction, reference = _blob(seed), _blob(other, shift)
    tolerance_mm = 1.31  # no distance on these grids is this long, so rounding decides nothing
    expected = surface_metrics(prediction, reference, spacing_mm, tolerance_mm)
    distances = SurfaceDistances(prediction, reference, spacing_mm)
    directed = average_surface_distance(distances, symmetric=False)
    assert directed == pytest.approx(expected.pop("directed"), abs=1e-6)
    for name, value in expected.items():
        options = {"tolerance_mm": tolerance_mm} if "tolerance_mm" in METRICS[name].options else {}
        assert metric_function(METRICS[name])(distances, **options) == pytest.approx(value, abs=1e-6), name


def test_far_away_surfaces_are_found_too() -> None:
    prediction, reference = np.zeros((60, 10, 10), bool), np.zeros((60, 10, 10), bool)
    prediction[1:3, 2:5, 3:6] = True
    reference[50:55, 2:5, 3:6] = True
    expected = surface_metrics(prediction, reference, (1.0, 2.0, 0.5), 1.0)
    distances = SurfaceDistances(prediction, reference, (1.0, 2.0, 0.5))
    for name in ("hd95", "hausdorff", "average_surface_distance"):
        assert metric_function(METRICS[name])(distances) == pytest.approx(expected[name], abs=1e-6)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_surface_dice_is_monais_with_subvoxels(spacing_mm) -> None:
    prediction, reference = _blob(5), _blob(5, 1)
    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    theirs = compute_surface_dice(
        *masks, class_thresholds=[1.31], include_background=True, spacing=spacing_mm, use_subvoxels=True
    )
    distances = SurfaceDistances(prediction, reference, spacing_mm)
    assert surface_dice(distances, 1.31) == pytest.approx(float(theirs), abs=1e-6)


def test_surface_at_the_tolerance_counts() -> None:
    mask = np.zeros((12, 12, 12), bool)
    mask[3:8, 3:8, 3:8] = True
    spacing_mm = (float(np.float32(0.9)),) * 3  # as a float32 header gives it
    distances = SurfaceDistances(mask, np.roll(mask, 1, axis=0), spacing_mm)
    assert surface_dice(distances, 0.9) == 1.0
    assert surface_dice(distances, 0.89) < 1.0


def test_empty_masks_and_other_shapes_are_refused() -> None:
    mask = np.ones((3, 3, 3), bool)
    with pytest.raises(ValueError, match="no surface"):
        SurfaceDistances(mask, ~mask, (1, 1, 1))
    with pytest.raises(ValueError, match="shapes"):
        SurfaceDistances(mask, mask[1:], (1, 1, 1))
