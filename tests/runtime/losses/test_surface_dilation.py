"""The tolerance along each axis, where mist-medical 2.3.0 takes that of another axis."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.losses.surface_dilation import SurfaceDilationLoss, dilate


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_coarse_axis_is_widened_the_least(axis: int) -> None:
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 3.0  # tolerance 3.75 mm: 4 voxels of 1 mm, 2 of 3 mm
    radii = SurfaceDilationLoss(spacing).radii
    assert radii == tuple(2 if one == axis else 4 for one in range(3))
    point = torch.zeros(1, 1, 15, 15, 15)
    point[..., 7, 7, 7] = 1
    extents = dilate(point, radii)[0, 0].nonzero()
    spans = (extents.max(dim=0).values - extents.min(dim=0).values + 1).tolist()
    assert spans == [2 * radius + 1 for radius in radii], "2.3.0 has X and Y the other way round"


def test_tolerance_may_be_given() -> None:
    assert SurfaceDilationLoss([1.0, 2.0, 5.0], tolerance_mm=2.0).radii == (2, 1, 1)
    with pytest.raises(ValueError, match="three numbers above 0"):
        SurfaceDilationLoss([1.0, 0.0, 1.0])


def test_surface_within_the_tolerance_costs_much_less_than_beyond() -> None:
    label = torch.zeros(1, 1, 24, 24, 24, dtype=torch.long)
    label[..., 8:16, 8:16, 8:16] = 1

    def moved(voxels: int) -> float:
        scores = 40 * (torch.roll(label, voxels, dims=2).float() - 0.5)
        logits = torch.cat([-scores, scores], dim=1)
        return float(SurfaceDilationLoss([1.0, 1.0, 1.0])(logits, label))

    assert moved(0) == pytest.approx(0.0, abs=1e-6)
    assert moved(0) < moved(1) < moved(2) < moved(6)


def test_class_in_neither_costs_nothing() -> None:
    # in 2.3.0 an absent class costs 1, whatever is predicted
    logits = torch.full((1, 2, 8, 8, 8), -40.0)
    logits[:, 0] = 40.0
    loss = SurfaceDilationLoss([1.0, 1.0, 1.0])(logits.double(), torch.zeros(1, 1, 8, 8, 8))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
