"""Sizing of every network of the catalogue: patches that fit, options that mean something, heads that exist."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.catalog.choice import Choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.planning.networks import fit_network_patch
from mist_bundle.planning.topology import unet_topology
from tests.planning.plans import sized

Triple = tuple[int, int, int]


@pytest.mark.parametrize("name", sorted(NETWORKS))
@given(st.tuples(*[st.integers(1, 260)] * 3), st.tuples(*[st.floats(0.3, 8.0)] * 3))
@settings(max_examples=30, deadline=None)
def test_fitted_patch_suits_the_network(name: str, patch: Triple, spacing: tuple[float, float, float]) -> None:
    row = NETWORKS[name]
    fitted, reason = fit_network_patch(row, patch, spacing, None)
    size = sized(row, fitted, spacing)
    assert all(axis % part == 0 for axis, part in zip(fitted, size.divisor, strict=True))
    assert prod(axis // part for axis, part in zip(fitted, size.divisor, strict=True)) > 1, "one voxel has no variance"
    assert bool(reason) == (fitted != patch)
    assert fit_network_patch(row, fitted, spacing, None) == (fitted, ""), "nothing is left to be changed"
    for before, after, part in zip(patch, fitted, size.divisor, strict=True):
        assert after <= max(2 * before, 2 * part), "no axis grows beyond need"
    assert len(size.strides) == len(size.widths)


@pytest.mark.parametrize(
    ("name", "patch", "fitted"),
    [
        ("mednext-small", (36, 50, 37), (32, 48, 32)),
        ("mednext-small", (512, 512, 8), (512, 512, 16)),
        ("mednext-small", (16, 16, 16), (32, 16, 16)),
        ("swinunetr-base", (40, 56, 40), (32, 64, 32)),
        ("swinunetr-base", (128, 128, 28), (128, 128, 32)),
        ("swinunetr-base", (24, 24, 24), (64, 32, 32)),
        ("segresnet", (36, 50, 37), (40, 48, 40)),
        ("nnunet", (36, 50, 37), (40, 56, 40)),
        ("wnet", (1, 1, 1), (2, 1, 1)),
    ],
)
def test_patches_by_hand(name: str, patch: Triple, fitted: Triple) -> None:
    result, reason = fit_network_patch(NETWORKS[name], patch, (1, 1, 1), None)
    assert result == fitted
    assert reason.startswith(f"Changed from {' x '.join(map(str, patch))}")


def test_own_network_says_what_it_takes() -> None:
    row = Choice(target="scripts.user.net.Net", about="own", sizing="user")
    assert fit_network_patch(row, (36, 50, 37), (1, 1, 1), None) == ((36, 50, 37), "")
    assert fit_network_patch(row, (36, 50, 37), (1, 1, 1), (4, 4, 2))[0] == (36, 52, 38)


@pytest.mark.parametrize("name", ["nnunet", "unet-pocket", "attention-unet", "fmgnet", "wnet"])
def test_coarse_axis_is_halved_only_when_the_others_are_as_coarse(name: str) -> None:
    size = sized(NETWORKS[name], (64, 64, 16), (1, 1, 5))
    assert size.strides[1] == (2, 2, 1)
    assert size.strides == unet_topology((64, 64, 16), (1, 1, 5)).strides
