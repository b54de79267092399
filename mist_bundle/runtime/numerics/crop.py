"""The box around the part of an image that is worth training on, computed from a single channel.

The analysis measures this box to decide whether cropping pays; the transforms crop to the very same box.
Boxes are half-open voxel ranges ((x0, y0, z0), (x1, y1, z1)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from .grid import Shape, as_shape
from .slabs import slabs
from .window import percentile_window

Box = tuple[Shape, Shape]
Slices = tuple[slice, slice, slice]
NO_BOX: Box = ((0, 0, 0), (0, 0, 0))  # holds no voxel

# Paper, section 2.1.1: the image is clipped to these percentiles before Otsu's threshold is taken.
_CLIP_PERCENTILES = (33.0, 99.5)
_OTSU_BINS = 256


def foreground_box(channel: NDArray[Any]) -> Box:
    """Box around everything at or above Otsu's threshold of the clipped image.

    Args:
        channel: (X, Y, Z) intensities of the channel that decides; whole numbers as float32 would hold them.

    Returns:
        The half-open box; the whole image where nothing, or everything, is foreground.
    """
    threshold = np.float32(otsu_threshold(channel, percentile_window(channel, *_CLIP_PERCENTILES)))
    box = bounding_box(np.asarray(channel >= threshold))
    return whole_box(channel.shape) if box is None else box


def nonzero_mask(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Where any channel of a (C, X, Y, Z) image is not zero, with the holes filled (nnU-Net's rule)."""
    mask = np.zeros(array.shape[1:], dtype=bool)
    for channel in array:
        mask |= channel != 0
    return np.asarray(binary_fill_holes(mask))


def otsu_threshold(
    values: NDArray[Any], window: tuple[float, float] | None = None, num_bins: int = _OTSU_BINS
) -> float:
    """Threshold that separates two groups of values best (largest variance between them).

    The same rule as scikit-image's `threshold_otsu` for floating-point images.

    Args:
        values: of any shape; whole numbers as float32 would hold them.
        window: what the values are clipped to first; it must have values at or beyond both ends.
        num_bins: of the histogram.

    Returns:
        The centre of a bin; the value of a constant image.
    """
    kind = values.dtype if np.issubdtype(values.dtype, np.floating) else np.dtype(np.float32)
    low, high = (values.min(), values.max()) if window is None else window
    ends = float(kind.type(low)), float(kind.type(high))
    if ends[0] == ends[1]:
        return ends[0]
    counts, edges = np.zeros(num_bins, np.int64), np.zeros(num_bins + 1)
    for slab in slabs(values):
        clipped = np.clip(values[slab].astype(kind, copy=False), *ends)
        in_slab, edges = np.histogram(clipped, bins=num_bins, range=ends)
        counts += in_slab
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    weighted = counts * centres
    mean_below = np.cumsum(weighted) / below
    mean_above = np.cumsum(weighted[::-1])[::-1] / above
    # The first and last bin hold the extremes, so neither group is ever empty.
    variance = below[:-1] * above[1:].astype(np.float64) * (mean_below[:-1] - mean_above[1:]) ** 2
    return float(centres[int(np.argmax(variance))])


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """Smallest box around the true voxels of an (X, Y, Z) mask; None where there are none."""
    columns: NDArray[np.bool_] = np.asarray(mask.any(axis=2))
    x = np.flatnonzero(columns.any(axis=1))
    if x.size == 0:
        return None
    y = np.flatnonzero(columns.any(axis=0))
    z = np.flatnonzero(mask.any(axis=(0, 1)))
    start = as_shape((x[0], y[0], z[0]))
    stop = as_shape((x[-1] + 1, y[-1] + 1, z[-1] + 1))
    return start, stop


def whole_box(shape: Sequence[int]) -> Box:
    """The box that holds the whole image."""
    return (0, 0, 0), as_shape(shape)


def as_box(box: Any, shape: Sequence[int]) -> Box:
    """A box from nested sequences, arrays or tensors; None means the whole image.

    Raises:
        ValueError: it is empty or does not lie inside the image.
    """
    if box is None:
        return whole_box(shape)
    start, stop = as_shape(box[0]), as_shape(box[1])
    for first, last, length in zip(start, stop, as_shape(shape), strict=True):
        if not 0 <= first < last <= length:
            msg = f"The crop box {start} to {stop} does not lie inside an image of shape {as_shape(shape)}."
            raise ValueError(msg)
    return start, stop


def box_slices(box: Box) -> Slices:
    """The box as an index for an (X, Y, Z) array."""
    start, stop = box
    return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])


def widened(box: Box, margin: int, shape: Sequence[int]) -> Box:
    """The box with `margin` more voxels on all sides, as far as the image reaches."""
    start, stop = np.asarray(box)
    return as_shape(np.maximum(start - margin, 0)), as_shape(np.minimum(stop + margin, shape))


def union(boxes: Sequence[Slices]) -> Slices:
    """The smallest box around boxes, of which there must be any; all as indices."""
    starts, stops = [], []
    for x, y, z in boxes:
        starts.append((x.start, y.start, z.start))
        stops.append((x.stop, y.stop, z.stop))
    return box_slices((as_shape(np.min(starts, axis=0)), as_shape(np.max(stops, axis=0))))


def box_volume_reduction(box: Box, shape: Sequence[int]) -> float:
    """Share of the voxels that cropping to the box takes away, in [0, 1)."""
    start, stop = np.asarray(box)
    kept = int(np.prod(stop - start))
    return 1 - kept / math.prod(as_shape(shape))
