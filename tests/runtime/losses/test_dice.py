"""Soft Dice is MONAI's, for classes and for regions."""

from __future__ import annotations

import monai.losses
import pytest
import torch

from mist_bundle.runtime.losses.dice import DiceLoss

from .samples import REGIONS, label_and_logits

SETTINGS = {"squared_pred": True, "smooth_nr": 1e-6, "smooth_dr": 1e-6}


def test_classes_are_compared_as_monai_does() -> None:
    label, logits = label_and_logits()
    expected = monai.losses.DiceLoss(softmax=True, to_onehot_y=True, **SETTINGS)(logits, label)
    torch.testing.assert_close(DiceLoss()(logits, label), expected)


def test_regions_are_compared_as_monai_does() -> None:
    label, logits = label_and_logits(len(REGIONS))
    masks = [torch.isin(label, torch.tensor(region)) for region in REGIONS]
    expected = monai.losses.DiceLoss(sigmoid=True, **SETTINGS)(logits, torch.cat(masks, dim=1).double())
    torch.testing.assert_close(DiceLoss(REGIONS)(logits, label), expected)


@pytest.mark.parametrize(("right", "expected"), [(True, 0.0), (False, 1.0)])
def test_certain_scores_cost_nothing_or_all(right: bool, expected: float) -> None:
    label = torch.zeros((1, 1, 4, 4, 4), dtype=torch.long)
    label[:, :, :2] = 1
    scores = torch.where(label == int(right), 50.0, -50.0)
    logits = torch.cat([-scores, scores], dim=1)
    assert float(DiceLoss()(logits, label)) == pytest.approx(expected, abs=1e-6)
