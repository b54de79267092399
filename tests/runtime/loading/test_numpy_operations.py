"""Augmentations in numpy against torch, scipy and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import AdjustContrast
from scipy.ndimage import gaussian_filter

from mist_bundle.runtime.loading.numpy_operations import apply_draw, gaussian_blur, resize_cubic, resize_nearest
from mist_bundle.runtime.loading.patches import PatchDraw

SIZE = (8, 10, 6)
PLAIN = PatchDraw(
    case=0,
    start=(0, 0, 0),
    extent=SIZE,
    flips=(False, False, False),
    noise_sd=0.0,
    noise_offset=1,
    blur_sigma=0.0,
    brightness=1.0,
    contrast=1.0,
)


def patch(size: tuple[int, ...] = SIZE) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "image": rng.standard_normal((2, *size)).astype(np.float32),
        "label": rng.integers(0, 4, (1, *size)).astype(np.uint8),
    }


def test_nothing_drawn_changes_nothing() -> None:
    before = patch()
    after = apply_draw(before, PLAIN, SIZE, None)
    for key in before:
        np.testing.assert_array_equal(after[key], before[key])


def test_cubic_enlargement_is_exact_for_quadratics() -> None:
    """Keys' kernel with a = -0.5 reproduces polynomials of degree 2 where its four taps lie within the volume."""
    sizes, target = (9, 12, 10), (12, 17, 14)

    def polynomial(shape: tuple[int, ...], positions: list[np.ndarray]) -> np.ndarray:
        x, y, z = np.meshgrid(*positions, indexing="ij")
        return (0.3 * x**2 - x + 0.1 * y**2 + 0.2 * z**2 - 0.7 * z).astype(np.float32).reshape(1, *shape)

    small = polynomial(sizes, [np.arange(size) for size in sizes])
    places = [(np.arange(new) + 0.5) * old / new - 0.5 for old, new in zip(sizes, target, strict=True)]
    inner = tuple(np.flatnonzero((place >= 1) & (place <= size - 2)) for place, size in zip(places, sizes, strict=True))
    result = resize_cubic(small, target)
    assert result.shape == (1, *target)
    np.testing.assert_allclose(
        result[0][np.ix_(*inner)], polynomial(target, places)[0][np.ix_(*inner)], rtol=1e-4, atol=1e-4
    )


def test_cubic_keeps_a_constant_up_to_the_edge() -> None:
    np.testing.assert_allclose(resize_cubic(np.full((2, 3, 1, 5), 4.0, np.float32), (5, 2, 9)), 4.0, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(size=st.tuples(*[st.integers(1, 9)] * 3), target=st.tuples(*[st.integers(1, 13)] * 3))
def test_nearest_agrees_with_torch(size: tuple[int, ...], target: tuple[int, ...]) -> None:
    label = np.arange(math.prod(size), dtype=np.int16).reshape(1, *size)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(label)[None].double(), size=target, mode="nearest-exact"
    )
    # torch computes positions in float32: on the border between two voxels it may take the other one
    positions = [(np.arange(new) + 0.5) * old / new for old, new in zip(size, target, strict=True)]
    clear = [np.abs(place - np.round(place)) > 1e-4 for place in positions]
    chosen = np.ix_(*(np.flatnonzero(line) for line in clear))
    result = resize_nearest(label, target)
    assert result.dtype == label.dtype
    np.testing.assert_array_equal(result[0][chosen], expected[0, 0].numpy()[chosen])


@pytest.mark.parametrize("sigma", [0.5, 0.9, 1.5])
def test_blur_agrees_with_scipy(sigma: float) -> None:
    image = patch((12, 5, 9))["image"]
    radius = math.ceil(3 * sigma)
    expected = gaussian_filter(image.astype(np.float64), sigma, axes=(1, 2, 3), mode="mirror", radius=radius)
    np.testing.assert_allclose(gaussian_blur(image, sigma), expected, atol=1e-5)


def test_noise_and_contrast_stay_within_the_patchs_range() -> None:
    before = patch()
    image = before["image"]
    noise = np.full_like(image, 3.0)
    noisy = apply_draw(before, replace(PLAIN, noise_sd=1.0), SIZE, noise)["image"]
    np.testing.assert_array_equal(noisy, np.clip(image + 3, image.min(), image.max()))
    sharp = apply_draw(before, replace(PLAIN, contrast=1.4), SIZE, None)["image"]
    np.testing.assert_allclose(sharp, np.clip(image * 1.4, image.min(), image.max()), rtol=1e-6)


def test_brightness_is_a_factor() -> None:
    before = patch()
    after = apply_draw(before, replace(PLAIN, brightness=1.3), SIZE, None)["image"]
    np.testing.assert_allclose(after, before["image"] * 1.3, rtol=1e-6)
    assert after.dtype == np.float32


def test_contrast_about_the_mean_is_nnunets() -> None:
    before = patch()
    image = before["image"].astype(np.float64)
    after = apply_draw(before, replace(PLAIN, contrast=0.8, contrast_about_mean=True), SIZE, None)["image"]
    mean = image.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(after, (image - mean) * 0.8 + mean, atol=1e-6)
    np.testing.assert_allclose(after.mean((1, 2, 3)), mean.ravel(), atol=1e-6)
    sharp = apply_draw(before, replace(PLAIN, contrast=1.4, contrast_about_mean=True), SIZE, None)["image"]
    low, high = image.min((1, 2, 3)), image.max((1, 2, 3))
    np.testing.assert_allclose((sharp.min((1, 2, 3)), sharp.max((1, 2, 3))), (low, high), rtol=1e-6)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("exponent", [0.7, 1.5])
def test_gamma_is_monais_with_statistics_retained(exponent: float, inverted: bool) -> None:
    before = patch()
    name = "inverted_gamma" if inverted else "gamma"
    after = apply_draw(before, replace(PLAIN, **{name: exponent}), SIZE, None)["image"]
    monais = AdjustContrast(gamma=exponent, invert_image=inverted, retain_stats=True)
    for channel, own in zip(before["image"], after, strict=True):
        # MONAI's standard deviation divides by n - 1, before and after alike
        np.testing.assert_allclose(own, monais(torch.from_numpy(channel)[None])[0].numpy(), atol=1e-4)
        assert (own.mean(), own.std()) == pytest.approx((channel.mean(), channel.std()), abs=1e-5)
    assert after.dtype == np.float32


def test_gamma_leaves_a_constant_channel_alone() -> None:
    before = {"image": np.full((1, *SIZE), 3.0, np.float32), "label": np.zeros((1, *SIZE), np.uint8)}
    after = apply_draw(before, replace(PLAIN, gamma=1.4, inverted_gamma=0.8), SIZE, None)["image"]
    np.testing.assert_allclose(after, 3.0, rtol=1e-6)


def test_low_resolution_keeps_the_nearest_voxels_and_enlarges_them() -> None:
    before, reduced = patch(), (4, 10, 3)
    after = apply_draw(before, replace(PLAIN, low_resolution=reduced), SIZE, None)
    kept = torch.nn.functional.interpolate(torch.from_numpy(before["image"])[None], reduced, mode="nearest-exact")
    np.testing.assert_allclose(after["image"], resize_cubic(kept[0].numpy(), SIZE), atol=1e-6)
    assert after["image"].shape == before["image"].shape
    np.testing.assert_array_equal(after["label"], before["label"])


def test_the_order_is_zoom_noise_blur_brightness_contrast() -> None:
    before = patch((5, 6, 4))
    noise = np.random.default_rng(5).standard_normal((2, *SIZE)).astype(np.float32)
    draw = replace(PLAIN, extent=(5, 6, 4), noise_sd=1.0, blur_sigma=0.8, brightness=1.2, contrast=1.5)
    after = apply_draw(before, draw, SIZE, noise)
    image = resize_cubic(before["image"], SIZE)
    image = np.clip(image + noise, image.min(), image.max())
    image = gaussian_blur(image, 0.8) * np.float32(1.2)
    image = np.clip(image * np.float32(1.5), image.min(), image.max())
    np.testing.assert_allclose(after["image"], image, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(after["label"], resize_nearest(before["label"], SIZE))
