"""Label maps made of boxes and of noise, and SimpleITK's view of them."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

UNIT = (1.0, 1.0, 1.0)


def boxes(*given: tuple[int, tuple[int, int, int], tuple[int, int, int]], shape=(24, 20, 16)) -> np.ndarray:
    """A map of (label, first voxel, size) boxes; later ones overwrite earlier ones."""
    label = np.zeros(shape, np.uint8)
    for value, start, size in given:
        label[tuple(slice(one, one + length) for one, length in zip(start, size, strict=True))] = value
    return label


def blobs(seed: int, values: tuple[int, ...] = (1, 2, 3), shape=(24, 20, 16)) -> np.ndarray:
    """Many components of all sizes."""
    generator = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(generator.normal(size=(len(values) + 1, *shape)), (0, 1.2, 1.2, 1.2))
    return np.array([0, *values], np.uint8)[noise.argmax(axis=0)] * (ndimage.gaussian_filter(noise[0], 1) < 0.05)


def image(mask: np.ndarray) -> sitk.Image:
    """Arrays go in as they are: the axes are only renamed."""
    return sitk.GetImageFromArray(mask.astype(np.uint8))


def array(made: sitk.Image) -> np.ndarray:
    """A mask."""
    return sitk.GetArrayFromImage(made).astype(bool)
