"""The U-Net topology against MIST's published parameter counts and MONAI's own constraints."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.planning.topology import dynamic_unet, fit_patch, supervision_heads, unet_topology


@pytest.mark.parametrize(("filters", "parameters"), [((32, 64, 128, 256, 320), 31_420_198), ((32,), 767_974)])
def test_parameter_counts_are_those_of_mist_medical_2_3_0(filters: tuple[int, ...], parameters: int) -> None:
    # 128 cubed, one channel, two classes, two heads: counted by running mist-medical 2.3.0
    from monai.networks.nets import DynUNet

    topology = unet_topology((128, 128, 128), (1, 1, 1))
    arguments = dynamic_unet(topology=topology, in_channels=1, out_channels=2, filters=filters, heads=2)
    network = DynUNet(**arguments, res_block=True, trans_bias=True)
    assert sum(parameter.numel() for parameter in set(network.parameters())) == parameters


def test_coarse_axis_waits_for_the_others() -> None:
    topology = unet_topology((128, 128, 16), (1.0, 1.0, 5.0))
    assert topology.strides[1] == (2, 2, 1)
    assert topology.kernels[0] == (3, 3, 1)
    assert topology.strides[3] == (2, 2, 2), "spacing is 4, 4, 5 by then"


def test_small_and_anisotropic_patches_are_raised_only_as_far_as_needed() -> None:
    assert fit_patch((36, 50, 37), (1, 1, 1)) == (40, 56, 40)
    assert fit_patch((128, 128, 128), (1, 1, 1)) == (128, 128, 128)
    assert fit_patch((5, 5, 5), (1, 1, 1)) == (5, 5, 5)


patches = st.tuples(*[st.integers(1, 300)] * 3)
spacings = st.tuples(*[st.floats(0.3, 8.0)] * 3)


@given(patches, spacings)
@settings(max_examples=200, deadline=None)
def test_fitted_patch_is_divided_by_its_strides(
    patch: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    fitted = fit_patch(patch, spacing)
    topology = unet_topology(fitted, spacing)
    assert all(size % part == 0 for size, part in zip(fitted, topology.divisor, strict=True))
    assert all(new >= old for new, old in zip(fitted, patch, strict=True))
    assert 3 <= len(topology.strides) == len(topology.kernels) <= 6


@pytest.mark.parametrize("patch", [(32, 32, 32), (40, 56, 40), (8, 8, 8), (64, 64, 4)])
def test_network_runs_on_its_patch(patch: tuple[int, int, int]) -> None:
    import torch
    from monai.networks.nets import DynUNet

    topology = unet_topology(fit_patch(patch, (1, 1, 4 if patch[2] == 4 else 1)), (1, 1, 4 if patch[2] == 4 else 1))
    heads = supervision_heads(topology, 2)
    arguments = dynamic_unet(topology=topology, in_channels=2, out_channels=3, filters=(4, 8), heads=heads)
    network = DynUNet(**arguments)
    output = network(torch.zeros(2, 2, *patch))
    assert output.shape == ((2, 1 + heads, 3, *patch) if heads else (2, 3, *patch))


def test_heads_never_exceed_what_the_depth_allows() -> None:
    assert supervision_heads(unet_topology((8, 8, 8), (1, 1, 1)), 2) == 1
    assert supervision_heads(unet_topology((128, 128, 128), (1, 1, 1)), 2) == 2
    assert supervision_heads(unet_topology((128, 128, 128), (1, 1, 1)), 0) == 0
