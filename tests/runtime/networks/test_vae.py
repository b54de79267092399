"""The VAE branch: its penalty against torch.distributions, and its absence from evaluation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from mist_bundle.runtime.losses.regularized import RegularizedLoss
from mist_bundle.runtime.networks.heads import with_heads
from mist_bundle.runtime.networks.vae import VAEBranch, with_vae

STRIDES = [[1, 1, 1], [2, 2, 1], [2, 2, 2]]


def _net() -> nn.Module:
    down = [nn.Conv3d(2, 4, 1), nn.Conv3d(4, 4, (2, 2, 1), (2, 2, 1)), nn.Conv3d(4, 8, 2, 2)]
    return nn.Sequential(*down, nn.Upsample(scale_factor=(4, 4, 2)), nn.Conv3d(8, 3, 1))


def _regularised(**weights: float) -> nn.Module:
    return with_vae(_net(), "2", 2, (8, 12, 6), STRIDES, [4, 4, 8], latent_size=5, **weights)


def test_penalty_is_the_sum_of_both_weighted_terms() -> None:
    torch.manual_seed(0)
    branch = VAEBranch(2, (8, 12, 6), STRIDES, [4, 4, 8], latent_size=5, reconstruction_weight=0.3, kl_weight=0.7)
    image, redrawn = torch.randn(2, 2, 2, 8, 12, 6)
    mean, log_variance = torch.randn(2, 2, 5)
    # the paper leaves out the factor one half of the divergence, and divides by the number of voxels
    divergence = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    expected = 0.3 * ((image - redrawn) ** 2).mean() + 0.7 * 2 * divergence / (8 * 12 * 6)
    torch.testing.assert_close(branch.penalty(image, redrawn, mean, log_variance), expected)
    assert branch.penalty(image, image, torch.zeros(2, 5), torch.zeros(2, 5)) == 0, "a perfect copy of normal draws"


def test_training_brings_the_penalty_and_evaluation_does_not() -> None:
    net = _regularised()
    image = torch.randn(2, 2, 8, 12, 6)
    output = net(image)
    assert set(output) == {"heads", "penalty"}
    assert output["heads"].shape == (2, 3, 8, 12, 6)
    assert math.isfinite(output["penalty"].item())
    (output["heads"].sum() + output["penalty"]).backward()
    assert all(parameter.grad is not None for parameter in net.parameters()), "every weight of the branch learns"
    assert isinstance(net.eval()(image), torch.Tensor)
    assert all(name.startswith("vae_branch.") for name in set(net.state_dict()) - set(_net().state_dict()))


def test_branch_learns_to_redraw() -> None:
    torch.manual_seed(1)
    net = _regularised()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    image = torch.linspace(-1, 1, 8)[None, None, :, None, None].expand(2, 2, 8, 12, 6) * 2
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        penalty = net(image)["penalty"]
        penalty.backward()
        optimizer.step()
        losses.append(penalty.item())
    assert losses[-1] < 0.5 * losses[0]


def test_heads_and_branch_together() -> None:
    net = with_vae(with_heads(_net(), ["1"], [4], 3), "2", 2, (8, 12, 6), STRIDES, [4, 4, 8])
    output = net(torch.randn(1, 2, 8, 12, 6))
    assert [tuple(head.shape) for head in output["heads"]] == [(1, 3, 8, 12, 6)] * 2


def test_patch_of_another_size_is_named() -> None:
    with pytest.raises(ValueError, match=r"built for patches of \[8, 12, 6\]"):
        _regularised()(torch.randn(1, 2, 16, 12, 6))


def test_loss_adds_the_penalty() -> None:
    loss = RegularizedLoss(nn.MSELoss())
    prediction, target = torch.randn(2, 3), torch.randn(2, 3)
    plain = loss(prediction, target)
    assert torch.equal(loss({"heads": prediction, "penalty": torch.tensor(2.0)}, target), plain + 2)
