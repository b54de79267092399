"""The penalty that a network brings along is added once, whatever the target is."""

from __future__ import annotations

import torch

from mist_bundle.runtime.losses.boundary import BoundaryLoss
from mist_bundle.runtime.losses.deep_supervision import DeepSupervisionLoss
from mist_bundle.runtime.losses.regularized import RegularizedLoss
from tests.runtime.losses.samples import label_and_logits, target_of


def test_penalty_is_added_to_the_loss_of_the_heads() -> None:
    label, logits = label_and_logits()
    target = target_of(label)
    plain = DeepSupervisionLoss(BoundaryLoss())
    heads = torch.stack([logits, 0.5 * logits], dim=1)
    penalty = torch.tensor(0.25, dtype=logits.dtype, requires_grad=True)
    loss = RegularizedLoss(plain)
    value = loss({"heads": heads, "penalty": penalty}, target)
    torch.testing.assert_close(value, plain(heads, target) + 0.25)
    value.backward()
    assert float(penalty.grad) == 1.0
    torch.testing.assert_close(loss(logits, target), plain(logits, target))
