"""The weighted mean over heads against the closed form."""

from __future__ import annotations

import torch
from monai.losses import DiceCELoss

from mist_bundle.runtime.losses.deep_supervision import DeepSupervisionLoss


def test_weights_halve_and_sum_to_one() -> None:
    torch.manual_seed(0)
    heads = torch.randn(2, 3, 4, 6, 6, 6)
    target = torch.randint(0, 4, (2, 1, 6, 6, 6))
    plain = DiceCELoss(to_onehot_y=True, softmax=True)
    expected = sum(weight * plain(heads[:, index], target) for index, weight in enumerate((4 / 7, 2 / 7, 1 / 7)))
    torch.testing.assert_close(DeepSupervisionLoss(plain)(heads, target), expected)
    torch.testing.assert_close(DeepSupervisionLoss(plain)(list(heads.unbind(1)), target), expected)


def test_single_output_is_the_plain_loss() -> None:
    output, target = torch.randn(1, 2, 4, 4, 4), torch.randint(0, 2, (1, 1, 4, 4, 4))
    plain = DiceCELoss(to_onehot_y=True, softmax=True)
    torch.testing.assert_close(DeepSupervisionLoss(plain)(output, target), plain(output, target))
