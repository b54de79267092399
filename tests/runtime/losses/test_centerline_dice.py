"""clDice: a tube that is cut through costs more than a tube that is too thin, which Dice sees the other way round."""

from __future__ import annotations

import pytest
import torch

from mist_bundle.runtime.losses.centerline_dice import CenterlineDiceLoss
from mist_bundle.runtime.losses.dice import DiceLoss


def tube() -> torch.Tensor:
    label = torch.zeros((1, 1, 24, 9, 9), dtype=torch.long)
    label[:, :, 2:22, 2:7, 2:7] = 1
    return label


def certain(label: torch.Tensor) -> torch.Tensor:
    scores = torch.where(label == 1, 50.0, -50.0)
    return torch.cat([-scores, scores], dim=1)


def test_the_true_tube_costs_nothing() -> None:
    assert float(CenterlineDiceLoss()(certain(tube()), tube())) == pytest.approx(0.0, abs=1e-5)


def test_a_cut_costs_more_than_a_thin_tube() -> None:
    cut, thin = tube(), tube()
    cut[:, :, 9:15] = 0
    thin[:, :, :, 2] = thin[:, :, :, 6] = thin[..., 2] = thin[..., 6] = 0
    assert CenterlineDiceLoss()(certain(cut), tube()) > CenterlineDiceLoss()(certain(thin), tube())
    assert DiceLoss()(certain(cut), tube()) < DiceLoss()(certain(thin), tube())
