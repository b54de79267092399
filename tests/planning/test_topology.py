"""The U-Net topology: which axes are halved when, and which patches it divides."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mist_bundle.planning.topology import fit_patch, unet_topology


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
