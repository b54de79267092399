"""Dice with cross-entropy is half of what MONAI adds up; regions take torch's binary cross-entropy."""

from __future__ import annotations

import monai.losses
import numpy as np
import pytest
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


def test_cross_entropy_of_what_a_voxel_may_be() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 4, 3, 2, 2, generator=generator, dtype=torch.float64)
    label = torch.randint(0, 6, (1, 1, 3, 2, 2), generator=generator)  # 4: background or 2 or 3; 5: background or 1
    probabilities = torch.softmax(logits, dim=1).numpy()[0]
    members = {0: [0], 1: [1], 2: [2], 3: [3], 4: [0, 2, 3], 5: [0, 1]}
    weights = [0.5, 1.0, 2.0, 3.0]
    for weighted in (None, weights):
        total, share = 0.0, 0.0
        for place in np.ndindex(3, 2, 2):
            index = int(label[0, 0][place])
            weight = 1.0 if weighted is None else weighted[members[index][0]]
            total -= weight * np.log(sum(probabilities[member][place] for member in members[index]))
            share += weight
        channels = Channels(class_weights=weighted, mixed={"4": [0, 2, 3], "5": [0, 1]})
        assert float(cross_entropy(channels, logits, label)) == pytest.approx(total / share)
