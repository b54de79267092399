"""Slices of a volume in three planes with outlines of label maps, in true proportions.

Planes follow the radiological convention: the patient's right on the left of axial and coronal slices, anterior on the
left of sagittal slices, and head or front at the top. The letters at the edges follow from the file's affine. Outlines
are vector paths along the edges of voxels; nothing is smoothed or shifted.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.report.colours import structure_colour
from mist_bundle.report.html import Html, el
from mist_bundle.report.windows import Window
from mist_bundle.runtime.numerics.crop import bounding_box
from mist_bundle.runtime.numerics.grid import reorient, spacing_of

MAX_PIXELS = 512  # of a picture's longer side; larger slices are averaged down
MARGIN_MM = 15.0  # around all labels, in close-ups
_MAX_HEIGHT_REM = 15.0

# plane -> (axis across the slice, axis of the columns, axis of the rows, whether that axis runs from top to bottom),
# for arrays whose axes point to L, P, S
PLANES = {"axial": (2, 0, 1, True), "coronal": (1, 0, 2, False), "sagittal": (0, 1, 2, False)}
_TOWARDS = "LPS"
_FROM = "RAI"

_OTHER_AXES = ((1, 2), (0, 2), (0, 1))

Cut = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlined:
    """A label map to draw.

    Attributes:
        kind: reference or prediction.
        array_xyz: the labels.
        colours: label value -> index of its colour.
        is_filled: whether to fill the label instead of outlining it.
    """

    kind: str
    array_xyz: NDArray[Any]
    colours: Mapping[int, int]
    is_filled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A slice with its overlays.

    Attributes:
        plane: axial, coronal or sagittal.
        pixels: (rows, columns) uint8, the first row at the top.
        size_mm: width and height.
        letters: anatomical directions of the left, right, top and bottom edge.
        areas: (kind, colour, path in units of voxels) of filled labels.
        outlines: the same of outlined labels.
        grid: (rows, columns) of voxels.
        position_mm: distance of the slice from the volume's first slice along L, P or S.
    """

    plane: str
    pixels: NDArray[np.uint8]
    size_mm: tuple[float, float]
    letters: tuple[str, str, str, str]
    areas: tuple[tuple[str, int, str], ...]
    outlines: tuple[tuple[str, int, str], ...]
    grid: tuple[int, int]
    position_mm: float


def three_planes(
    image_xyz: NDArray[Any],
    affine: NDArray[np.float64],
    maps: Sequence[Outlined],
    window: Window,
    *,
    margin_mm: float | None = None,
    focus: Sequence[int] = (),
) -> list[Slice]:
    """Slices through the largest extent of some labels, in all three planes.

    Args:
        image_xyz: (X, Y, Z) intensities in the file's own axis order.
        affine: of the file, voxel index -> RAS+ mm.
        maps: label maps on the same grid; the first that holds a label of `focus` decides where to cut.
        window: intensities shown black and white.
        margin_mm: crop to the box around all labels with this margin; None shows whole slices.
        focus: labels that must be visible; by default all labels, with equal weights.
    """
    image, affine_lps = reorient(image_xyz[None], affine, "LPS")
    overlays = []
    labels = []
    for label_map in maps:
        array = reorient(label_map.array_xyz[None], affine, "LPS")[0][0]
        overlays.append(replace(label_map, array_xyz=array))
        labels.append(array)
    spacing = spacing_of(affine_lps)
    box = _box(labels, image.shape[1:], spacing, margin_mm)
    cut = where_to_cut(labels, focus, image.shape[1:])
    slices = []
    for plane in PLANES:
        slices.append(_slice(plane, image[0], overlays, cut, box, spacing, window))
    return slices


def plane_view(volume_lps: NDArray[Any], plane: str, index: int) -> NDArray[Any]:
    """A slice of a volume whose axes point to L, P, S as (rows, columns), oriented for display."""
    through = PLANES[plane][0]
    return _turned(volume_lps.take(index, axis=through), plane)


def edge_letters(plane: str) -> tuple[str, str, str, str]:
    """Anatomical directions of the left, right, top and bottom edge of a picture."""
    _, across, down, is_downward = PLANES[plane]
    top, bottom = _FROM[down], _TOWARDS[down]
    if not is_downward:
        top, bottom = bottom, top
    return _FROM[across], _TOWARDS[across], top, bottom


def _turned(flat: NDArray[Any], plane: str) -> NDArray[Any]:
    """A slice with its axes in the order L, P, S as rows from the top and columns from the left."""
    _, across, down, is_downward = PLANES[plane]
    rows = flat.T if across < down else flat
    return rows if is_downward else rows[::-1]


def outline(mask: NDArray[np.bool_]) -> str:
    """SVG path along the edges of the true pixels of a (rows, columns) mask, in pixel units; "" if there are none."""
    padded = np.pad(mask, 1)
    edges_above = padded[1:, 1:-1] ^ padded[:-1, 1:-1]
    edges_left = padded[1:-1, 1:] ^ padded[1:-1, :-1]
    parts = []
    for row, start, stop in _runs(edges_above):
        parts.append(f"M{start} {row}H{stop}")
    for column, start, stop in _runs(edges_left.T):
        parts.append(f"M{column} {start}V{stop}")
    return "".join(parts)


def area(mask: NDArray[np.bool_]) -> str:
    """SVG path that covers the true pixels of a (rows, columns) mask, in pixel units; "" if there are none."""
    parts = []
    for row, start, stop in _runs(mask):
        parts.append(f"M{start} {row}h{stop - start}v1h{start - stop}z")
    return "".join(parts)


def picture(shown: Slice, alt: str) -> Html:
    """The slice as markup.

    Args:
        shown: the slice.
        alt: description for screen readers.
    """
    width, height = shown.size_mm
    rows, columns = shown.grid
    paths = []
    for kind, colour, path in shown.areas:
        paths.append(el("path", d=path, class_=f"area {kind}", fill=structure_colour(colour)))
    for kind, colour, path in shown.outlines:
        paths.append(el("path", d=path, class_=f"under {kind}"))
        paths.append(el("path", d=path, class_=kind, stroke=structure_colour(colour)))
    letters = []
    for letter, side in zip(shown.letters, ("left", "right", "top", "bottom"), strict=True):
        letters.append(el("span", letter, class_=side, aria_hidden="true"))
    ratio = width / height
    # as wide as the page allows, but not taller than the limit
    limit = f"--ratio:{ratio:.4f};aspect-ratio:{width:.4f}/{height:.4f};max-width:{_MAX_HEIGHT_REM * ratio:.2f}rem"
    overlay = el("svg", *paths, view_box=f"0 0 {columns} {rows}", preserve_aspect_ratio="none", aria_hidden="true")
    frame = el("div", el("img", src=_png(shown.pixels), alt=alt), overlay, *letters, class_="slice", style=limit)
    return el("div", frame, el("p", f"{shown.plane}, {shown.position_mm:.0f} mm"), class_="plane")


def _slice(
    plane: str,
    image: NDArray[Any],
    overlays: Sequence[Outlined],
    cut: Cut,
    box: tuple[slice, ...],
    spacing: NDArray[np.float64],
    window: Window,
) -> Slice:
    through, across, down, _ = PLANES[plane]
    pixels = plane_view(image[box], plane, cut[through] - box[through].start)
    areas = []
    outlines = []
    for overlay in overlays:
        labels = plane_view(overlay.array_xyz[box], plane, cut[through] - box[through].start)
        for label, colour in overlay.colours.items():
            mask = labels == label
            if not mask.any():
                continue
            if overlay.is_filled:
                areas.append((overlay.kind, colour, area(mask)))
            else:
                outlines.append((overlay.kind, colour, outline(mask)))
    rows, columns = pixels.shape
    size_mm = (columns * float(spacing[across]), rows * float(spacing[down]))
    return Slice(
        plane=plane,
        pixels=_eight_bit(_reduced(pixels), window),
        size_mm=size_mm,
        letters=edge_letters(plane),
        areas=tuple(areas),
        outlines=tuple(outlines),
        grid=(rows, columns),
        position_mm=cut[through] * float(spacing[through]),
    )


def where_to_cut(labels: Sequence[NDArray[Any]], focus: Sequence[int], shape: Sequence[int]) -> Cut:
    """The index along each axis where the slices show most of some labels.

    Labels are weighted by the size of their largest slice, so that small labels count as much as large labels.

    Args:
        labels: label maps on the same grid; the first that holds such a label decides.
        focus: the labels; empty for all but the background.
        shape: of the grid, whose middle is returned if no map holds such a label.
    """
    for label in labels:
        present = np.unique(label)
        present = present[present != 0]
        if focus:
            present = present[np.isin(present, focus)]
        if present.size:
            values = present.tolist()
            return _largest(label, values, 0), _largest(label, values, 1), _largest(label, values, 2)
    x, y, z = shape
    return x // 2, y // 2, z // 2


def _largest(label: NDArray[Any], values: Sequence[int], axis: int) -> int:
    """The slice across an axis with the largest area of the labels, each relative to its own largest slice."""
    others = _OTHER_AXES[axis]
    visible = np.zeros(label.shape[axis])
    for value in values:
        counts = np.count_nonzero(label == value, axis=others)
        visible += counts / counts.max()
    return int(np.argmax(visible))


def _box(
    labels: Sequence[NDArray[Any]], shape: Sequence[int], spacing: NDArray[np.float64], margin_mm: float | None
) -> tuple[slice, ...]:
    inside = np.zeros(shape, dtype=bool)
    for label in labels:
        inside |= label != 0
    labelled = bounding_box(inside)
    if margin_mm is None or labelled is None:
        return tuple(map(slice, (0, 0, 0), shape))
    box = []
    for start, stop, length, size_mm in zip(*labelled, shape, spacing, strict=True):
        margin = math.ceil(margin_mm / float(size_mm))
        box.append(slice(max(0, start - margin), min(length, stop + margin)))
    return tuple(box)


def _reduced(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Averaged over blocks so that no side has more than MAX_PIXELS; blocks at the edges may be smaller."""
    values = pixels.astype(np.float32)
    for axis in (0, 1):
        step = math.ceil(values.shape[axis] / MAX_PIXELS)
        if step > 1:
            starts = np.arange(0, values.shape[axis], step)
            sums = np.add.reduceat(values, starts, axis=axis)
            sizes = np.diff(starts, append=values.shape[axis])
            if axis == 0:
                sizes = sizes[:, None]
            values = (sums / sizes).astype(np.float32)
    return values


def _eight_bit(pixels: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    scaled = (pixels - window.low) / max(window.high - window.low, 1e-6) * 255
    return np.asarray(np.clip(np.rint(scaled), 0, 255), dtype=np.uint8)


def _png(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """(row, start, stop) of the half-open ranges of true values in all rows."""
    changes = np.diff(mask.astype(np.int8), axis=1, prepend=0, append=0)
    rows, starts = np.nonzero(changes == 1)
    _, stops = np.nonzero(changes == -1)
    return list(zip(rows.tolist(), starts.tolist(), stops.tolist(), strict=True))
