"""Generalized Dice is MONAI's; small classes count as much as large classes."""

from __future__ import annotations

import monai.losses
import pytest
import torch

from mist_bundle.runtime.losses.generalized_dice import GeneralizedDiceLoss

from .samples import label_and_logits


@pytest.mark.parametrize("absent", [False, True], ids=["all classes", "a class is absent"])
def test_equals_monai(absent: bool) -> None:
    label, logits = label_and_logits()
    if absent:
        label[label == 2] = 0
    theirs = monai.losses.GeneralizedDiceLoss(softmax=True, to_onehot_y=True)(logits, label)
    torch.testing.assert_close(GeneralizedDiceLoss()(logits, label), theirs)


def test_missing_a_small_class_costs_about_as_much_as_missing_a_large_class() -> None:
    label = torch.zeros((1, 1, 16, 16, 16), dtype=torch.long)
    label[:, :, :8] = 1
    label[:, :, 12, 3:5, 3:5] = 2  # 4 voxels against 2048

    def missed(index: int) -> float:
        predicted = torch.where(label == index, 0, label)
        channels = [torch.where(predicted == number, 30.0, -30.0) for number in range(3)]
        return float(GeneralizedDiceLoss()(torch.cat(channels, dim=1), label))

    assert missed(2) > 0.5
    assert missed(2) > missed(1) / 3
