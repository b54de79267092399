"""Generalized surface loss: 0 for the true mask, 1 for its opposite, whatever the scale of the distances."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.losses.generalized_surface import GeneralizedSurfaceLoss

from .samples import label_and_logits, target_of


def certain(label: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.where(label == index, 50.0, -50.0) for index in range(3)], dim=1).double()


def test_the_true_mask_costs_nothing() -> None:
    target = target_of(label_and_logits()[0])
    assert float(GeneralizedSurfaceLoss()(certain(target["label"]), target)) == pytest.approx(0.0, abs=1e-6)


def test_the_opposite_costs_one() -> None:
    label = (torch.arange(6).view(1, 1, 6, 1, 1) < 3).long()
    distances = torch.linspace(-1, 1, 6).double().view(1, 1, 6, 1, 1).expand(1, 2, 6, 1, 1)
    scores = torch.where(label == 1, -50.0, 50.0).double()
    loss = GeneralizedSurfaceLoss()(torch.cat([-scores, scores], dim=1), {"label": label, "dtm": distances})
    assert float(loss) == pytest.approx(1.0, abs=1e-5)


def test_the_scale_of_the_distances_does_not_matter() -> None:
    label, logits = label_and_logits()
    target = target_of(label)
    scaled = {"label": label, "dtm": 40 * target["dtm"]}
    torch.testing.assert_close(
        GeneralizedSurfaceLoss()(logits, scaled), GeneralizedSurfaceLoss()(logits, target), rtol=1e-6, atol=1e-6
    )
