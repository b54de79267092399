"""The augmentations in numpy: what the torch loader applies, and what the DALI graph is held against in the tests.

Conventions are DALI's: cubic is Keys' kernel (a = -0.5) with replicated edges, pixel centres at half integers; the blur
is truncated at ceil(3 sigma) and mirrors at the edge without repeating it. Rotation and scaling interpolate linearly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from ..numerics.triples import triple
from .patches import PatchDraw
from .warp import warp_patch

Image = NDArray[np.float32]

SPACE = (1, 2, 3)  # the axes of a channel
EPSILON = np.float32(1e-7)  # keeps constant channels constant


def apply_draw(
    arrays: dict[str, NDArray[Any]], draw: PatchDraw, patch_size: Sequence[int], noise: Image | None
) -> dict[str, NDArray[Any]]:
    """Apply what was drawn to a patch that was cut (and mirrored) already.

    Args:
        arrays: "image" (C, *draw.extent) float32, "label" (1, *draw.extent), perhaps "dtm".
        draw: what to do; see `Augmentation` for the order.
        patch_size: X, Y, Z of the result.
        noise: of standard deviation 1, (C, *patch_size); None where no noise was drawn.

    Returns:
        Arrays of `patch_size`.
    """
    result, draw = warp_patch(arrays, draw, triple(patch_size))
    if draw.extent != tuple(patch_size):
        result["image"] = resize_cubic(result["image"], patch_size)
        result["label"] = resize_nearest(result["label"], patch_size)
    result["image"] = _change_intensities(result["image"], draw, noise)
    return result


def _change_intensities(image: Image, draw: PatchDraw, noise: Image | None) -> Image:
    if noise is not None:
        image = _within(image + noise * np.float32(draw.noise_sd), image)
    if draw.blur_sigma > 0:
        image = gaussian_blur(image, draw.blur_sigma)
    if draw.brightness != 1:
        image = image * np.float32(draw.brightness)
    if draw.contrast != 1:
        image = _contrast(image, draw.contrast, about_mean=draw.contrast_about_mean)
    if draw.low_resolution is not None:
        image = resize_cubic(resize_nearest(image, draw.low_resolution), image.shape[1:])
    if draw.inverted_gamma != 1:
        image = -gamma(-image, draw.inverted_gamma)
    if draw.gamma != 1:
        image = gamma(image, draw.gamma)
    return image


def _contrast(image: Image, factor: float, *, about_mean: bool) -> Image:
    if not about_mean:
        return _within(image * np.float32(factor), image)
    mean = image.mean(axis=SPACE, keepdims=True)
    low, high = image.min(axis=SPACE, keepdims=True), image.max(axis=SPACE, keepdims=True)
    changed: Image = np.clip((image - mean) * np.float32(factor) + mean, low, high)
    return changed


def gamma(image: Image, exponent: float) -> Image:
    """Raise each channel, scaled to [0, 1], to a power, and restore its mean and standard deviation (nnU-Net)."""
    low = image.min(axis=SPACE, keepdims=True)
    span = image.max(axis=SPACE, keepdims=True) - low
    changed = ((image - low) / (span + EPSILON)) ** np.float32(exponent)
    mean, spread = _moments(image)
    changed_mean, changed_spread = _moments(changed)
    result: Image = (changed - changed_mean) / (changed_spread + EPSILON) * spread + mean
    return result


def _moments(image: Image) -> tuple[Image, Image]:
    return image.mean(axis=SPACE, keepdims=True), image.std(axis=SPACE, keepdims=True)


def _within(changed: Image, image: Image) -> Image:
    """Clamp to the range that the patch had, over all channels together (MIST's rule)."""
    np.clip(changed, image.min(), image.max(), out=changed)
    return changed


def resize_cubic(array: Image, size: Sequence[int]) -> Image:
    """Enlarge (C, X, Y, Z) to (C, *size)."""
    channels, length_x, length_y, length_z = array.shape
    size_x, size_y, size_z = size
    along_z = np.matmul(array, _keys_matrix(length_z, size_z).T)
    along_y = np.matmul(_keys_matrix(length_y, size_y), along_z)
    flat = along_y.reshape(channels, length_x, -1)
    result: Image = np.matmul(_keys_matrix(length_x, size_x), flat).reshape(channels, *size)
    return result


def _keys_matrix(length: int, size: int) -> Image:
    positions = (np.arange(size) + 0.5) * (length / size) - 0.5
    first = np.floor(positions).astype(np.int64) - 1
    matrix = np.zeros((size, length), np.float32)
    for tap in range(4):
        distance = np.abs(positions - (first + tap))
        near = (1.5 * distance - 2.5) * distance**2 + 1
        far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
        weight = np.where(distance <= 1, near, far).astype(np.float32)
        np.add.at(matrix, (np.arange(size), np.clip(first + tap, 0, length - 1)), weight)
    return matrix


def resize_nearest(array: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Enlarge or reduce (C, X, Y, Z) to (C, *size), keeping the values."""
    for axis, new in enumerate(size, start=1):
        length = array.shape[axis]
        nearest = np.floor((np.arange(new) + 0.5) * (length / new)).astype(np.int64)
        array = array.take(np.minimum(nearest, length - 1), axis=axis)
    return np.ascontiguousarray(array)


def gaussian_blur(array: Image, sigma: float) -> Image:
    """Blur (C, X, Y, Z) along X, Y and Z."""
    radius = math.ceil(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (1, 2, 3):
        array = correlate1d(array, kernel, axis=axis, mode="mirror")
    return array
