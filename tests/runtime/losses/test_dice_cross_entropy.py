"""Dice with cross-entropy is half of what MONAI adds up; regions take torch's binary cross-entropy."""

from __future__ import annotations

import monai.losses
import torch

from mist_bundle.runtime.losses.channels import Channels
from mist_bundle.runtime.losses.dice_cross_entropy import DiceCrossEntropyLoss, cross_entropy

from .samples import REGIONS, label_and_logits


def test_half_of_monais_sum() -> None:
    label, logits = label_and_logits()
    theirs = monai.losses.DiceCELoss(softmax=True, to_onehot_y=True, squared_pred=True, smooth_nr=1e-6, smooth_dr=1e-6)(
        logits, label
    )
    torch.testing.assert_close(DiceCrossEntropyLoss()(logits, label), theirs / 2)


def test_class_weights_are_torchs() -> None:
    label, logits = label_and_logits()
    weights = [0.2, 1.0, 3.0]
    expected = torch.nn.CrossEntropyLoss(torch.tensor(weights).double())(logits, label[:, 0])
    torch.testing.assert_close(cross_entropy(Channels(class_weights=weights), logits, label), expected)


def test_ignored_voxels_are_torchs() -> None:
    label, logits = label_and_logits()
    weights = [0.2, 1.0, 3.0]
    label[:, :, 2:5] = 9
    expected = torch.nn.CrossEntropyLoss(torch.tensor(weights).double(), ignore_index=9)(logits, label[:, 0])
    own = cross_entropy(Channels(ignore_index=9, class_weights=weights), logits, label)
    torch.testing.assert_close(own, expected)


def test_regions_have_a_binary_cross_entropy_each() -> None:
    label, logits = label_and_logits(len(REGIONS))
    masks = [torch.isin(label, torch.tensor(region)) for region in REGIONS]
    expected = torch.nn.BCEWithLogitsLoss()(logits, torch.cat(masks, dim=1).double())
    torch.testing.assert_close(cross_entropy(Channels(REGIONS), logits, label), expected)
