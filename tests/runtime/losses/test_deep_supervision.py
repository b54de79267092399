"""The weighted mean over heads against the closed form."""

from __future__ import annotations

import pytest
import torch
from monai.losses import DiceCELoss
from torch.nn import functional

from mist_bundle.runtime.losses.boundary import BoundaryLoss
from mist_bundle.runtime.losses.deep_supervision import DeepSupervisionLoss
from tests.runtime.losses.samples import build, label_and_logits, target_of


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


@pytest.mark.parametrize("name", ["cldice", "boundary", "vessel_sddl", "generalized_surface"])
def test_every_head_is_held_against_the_same_maps(name: str) -> None:
    label, logits = label_and_logits()
    target = target_of(label)
    heads = [logits, logits.flip(2), 0.1 * logits]
    loss = build(name)
    expected = sum(weight * loss(head, target) for weight, head in zip((4 / 7, 2 / 7, 1 / 7), heads, strict=True))
    torch.testing.assert_close(DeepSupervisionLoss(loss)(torch.stack(heads, dim=1), target), expected)


def test_small_heads_are_enlarged_and_targets_left_as_they_are() -> None:
    label, logits = label_and_logits()
    target = target_of(label)
    small = functional.avg_pool3d(logits, 2)
    loss = BoundaryLoss()
    large = functional.interpolate(small, size=logits.shape[2:], mode="nearest")
    expected = 2 / 3 * loss(logits, target) + 1 / 3 * loss(large, target)
    torch.testing.assert_close(DeepSupervisionLoss(loss)([logits, small], target), expected)


def test_own_weights_are_divided_by_their_sum() -> None:
    torch.manual_seed(0)
    heads = torch.randn(2, 3, 4, 6, 6, 6)
    target = torch.randint(0, 4, (2, 1, 6, 6, 6))
    plain = DiceCELoss(to_onehot_y=True, softmax=True)
    loss = DeepSupervisionLoss(plain, weights=[2, 0, 3])
    torch.testing.assert_close(loss(heads, target), 0.4 * plain(heads[:, 0], target) + 0.6 * plain(heads[:, 2], target))
    torch.testing.assert_close(loss(heads[:, 0], target), plain(heads[:, 0], target))
    with pytest.raises(ValueError, match="3 weights for 4 outputs"):
        loss(torch.randn(2, 4, 4, 6, 6, 6), target)
