"""The blob loss against its definition, instance by instance; large lesions do not hide small ones."""

from __future__ import annotations

import monai.losses
import numpy as np
import pytest
import torch

from mist_bundle.runtime.losses.blob import BlobDiceLoss
from mist_bundle.runtime.losses.dice import DiceLoss
from tests.runtime.losses import reference


def _lesions(generator: np.random.Generator) -> torch.Tensor:
    label = np.zeros((2, 1, 20, 20, 20), dtype=np.int64)
    for sample in range(2):
        for _ in range(4):
            x, y, z = generator.integers(1, 16, 3)
            size = generator.integers(1, 4)
            label[sample, 0, x : x + size, y : y + size, z : z + size] = generator.integers(1, 3)
    return torch.from_numpy(label)


@pytest.mark.parametrize("seed", range(3))
def test_is_the_mean_over_instances_taken_alone(seed: int) -> None:
    generator = np.random.default_rng(seed)
    label = _lesions(generator)
    logits = torch.from_numpy(generator.normal(size=(2, 3, 20, 20, 20)))
    expected = reference.blob(reference.Problem(label, logits, logits, None))
    present = [[bool((label[sample] == channel).any()) for channel in (1, 2)] for sample in range(2)]
    assert float(BlobDiceLoss()(logits, label)) == pytest.approx(expected[np.array(present)].mean(), rel=1e-9)


def test_a_single_instance_is_the_dice_loss_of_its_class() -> None:
    label = torch.zeros(1, 1, 8, 8, 8, dtype=torch.int64)
    label[0, 0, 2:5, 2:5, 2:5] = 1
    logits = torch.randn(1, 2, 8, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    options = {"to_onehot_y": True, "softmax": True, "squared_pred": True, "smooth_nr": 1e-6, "smooth_dr": 1e-6}
    expected = monai.losses.DiceLoss(include_background=False, **options)(logits, label)
    assert float(BlobDiceLoss()(logits, label)) == pytest.approx(float(expected), rel=1e-6)


def test_a_missed_small_lesion_costs_as_much_as_a_large_one() -> None:
    label = torch.zeros(1, 1, 24, 24, 24, dtype=torch.int64)
    label[0, 0, 2:14, 2:14, 2:14] = 1
    label[0, 0, 20, 20, 20] = 1
    certain = 20.0 * (2 * torch.nn.functional.one_hot(label[:, 0], 2).movedim(-1, 1).double() - 1)
    without_small = certain.clone()
    without_small[0, :, 20, 20, 20] *= -1
    assert float(BlobDiceLoss()(certain, label)) == pytest.approx(0, abs=1e-6)
    assert float(BlobDiceLoss()(without_small, label)) == pytest.approx(0.5, abs=1e-3)
    assert float(DiceLoss()(without_small, label)) < 1e-3


def test_patches_without_instances_give_zero_with_a_gradient() -> None:
    logits = torch.zeros(1, 2, 4, 4, 4, requires_grad=True)
    loss = BlobDiceLoss()(logits, torch.zeros(1, 1, 4, 4, 4, dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_regions_that_overlap_have_instances_of_their_own() -> None:
    label = torch.zeros(1, 1, 8, 8, 8, dtype=torch.int64)
    label[0, 0, 1:3] = 1
    label[0, 0, 3:5] = 2
    logits = torch.where(torch.isin(label, torch.tensor([1, 2])), 20.0, -20.0)
    tumour = torch.where(label == 2, 20.0, -20.0)
    loss = BlobDiceLoss(regions=[[1, 2], [2]])(torch.cat([logits, tumour], dim=1), label)
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_unlabelled_voxels_do_not_count() -> None:
    label = torch.zeros(1, 1, 8, 8, 8, dtype=torch.int64)
    label[0, 0, 1:3, 1:3, 1:3] = 1
    label[0, 0, 6:] = 2
    logits = torch.randn(1, 2, 8, 8, 8, generator=torch.Generator().manual_seed(2))
    changed = logits.clone()
    changed[:, :, 6:] = 50 * torch.randn(1, 2, 2, 8, 8, generator=torch.Generator().manual_seed(3))
    loss = BlobDiceLoss(ignore_index=2)
    assert float(loss(changed, label)) == pytest.approx(float(loss(logits, label)), rel=1e-6)
