"""Karimi's Hausdorff loss by MONAI, over the foreground."""

from __future__ import annotations

import torch
from monai.losses import HausdorffDTLoss

from mist_bundle.runtime.losses.hausdorff import HausdorffLoss

from .samples import REGIONS, label_and_logits


def test_classes_are_monais_without_the_background() -> None:
    label, logits = label_and_logits()
    theirs = HausdorffDTLoss(include_background=False, to_onehot_y=True, softmax=True)(logits, label)
    torch.testing.assert_close(HausdorffLoss()(logits, label), theirs)


def test_regions_are_monais() -> None:
    label, logits = label_and_logits(len(REGIONS))
    masks = [torch.isin(label, torch.tensor(region)) for region in REGIONS]
    theirs = HausdorffDTLoss(include_background=True, sigmoid=True)(logits, torch.cat(masks, dim=1).double())
    torch.testing.assert_close(HausdorffLoss(REGIONS)(logits, label), theirs)
