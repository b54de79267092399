"""Slices of a volume in three planes with the outlines of label maps, as pictures that keep their true proportions.

Planes are shown as radiologists look at them: the patient's right on the left of axial and coronal pictures, anterior
on the left of sagittal ones, and head or front at the top. The letters at the edges follow from the file's affine.
Outlines are vector paths over the picture, along the edges of voxels: nothing is smoothed or shifted.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.report.colours import OVERLAY_COLOURS
from mist_bundle.report.html import Html, el
from mist_bundle.report.windows import Window
from mist_bundle.runtime.numerics.grid import reorient, spacing_of

MAX_PIXELS = 512  # of a picture's longer side; larger slices are averaged down
MARGIN_MM = 15.0  # around what is labelled, in close-ups
_MAX_HEIGHT_REM = 15.0

# plane -> (axis that is cut, axis of the columns, axis of the rows, rows run from the top down along the axis),
# in arrays whose axes point to L, P, S
PLANES = {"axial": (2, 0, 1, True), "coronal": (1, 0, 2, False), "sagittal": (0, 1, 2, False)}
_TOWARDS, _FROM = "LPS", "RAI"

Cut = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlined:
    """A label map to draw.

    Attributes:
        kind: reference or prediction.
        array_xyz: the labels.
        colours: label value -> number of its colour.
        is_filled: coloured inside, instead of an outline.
    """

    kind: str
    array_xyz: NDArray[Any]
    colours: Mapping[int, int]
    is_filled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """One picture.

    Attributes:
        plane: axial, coronal or sagittal.
        pixels: (rows, columns) uint8, the first row at the top.
        size_mm: width and height.
        letters: where the left, right, top and bottom edge lie in the patient.
        areas: (kind, colour, path in units of voxels) of what is filled.
        outlines: the same of what is outlined.
        grid: (rows, columns) of the voxels that the paths are in.
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
    """Cut a volume where most is seen of the labels that are talked about.

    Args:
        image_xyz: (X, Y, Z) intensities in the file's own axis order.
        affine: of the file, voxel index -> RAS+ mm.
        maps: label maps on the same grid; the first that holds one of the labels decides where to cut.
        window: intensities shown black and white.
        margin_mm: show only the box around all labels and this much around it; None shows the whole slices.
        focus: labels that must be seen; by default all that are drawn, each as important as the others.
    """
    image, turned = reorient(image_xyz[None], affine, "LPS")
    labels = [reorient(one.array_xyz[None], affine, "LPS")[0][0] for one in maps]
    spacing = spacing_of(turned)
    box = _box(labels, image.shape[1:], spacing, margin_mm)
    cut = where_to_cut(labels, focus, image.shape[1:])
    return [_slice(plane, image[0], labels, maps, cut, box, spacing, window) for plane in PLANES]


def plane_view(volume_lps: NDArray[Any], plane: str, index: int) -> NDArray[Any]:
    """A slice of a volume whose axes point to L, P, S as (rows, columns), turned as it is looked at."""
    through = PLANES[plane][0]
    return _turned(volume_lps[tuple(index if axis == through else slice(None) for axis in range(3))], plane)


def edge_letters(plane: str) -> tuple[str, str, str, str]:
    """Where the left, right, top and bottom edge of a picture lie in the patient."""
    _, across, down, is_downward = PLANES[plane]
    top, bottom = (_FROM[down], _TOWARDS[down]) if is_downward else (_TOWARDS[down], _FROM[down])
    return _FROM[across], _TOWARDS[across], top, bottom


def _turned(flat: NDArray[Any], plane: str) -> NDArray[Any]:
    """Rows from the top down and columns from the left, of a slice whose axes are still in the order L, P, S."""
    _, across, down, is_downward = PLANES[plane]
    rows = flat.T if across < down else flat
    return rows if is_downward else rows[::-1]


def outline(mask: NDArray[np.bool_]) -> str:
    """SVG path along the edges of the true pixels of a (rows, columns) mask, in pixel units; "" if there are none."""
    padded = np.pad(mask, 1)
    parts = []
    for row, runs in enumerate(padded[1:, 1:-1] ^ padded[:-1, 1:-1]):
        parts += [f"M{start} {row}H{stop}" for start, stop in _runs(runs)]
    for column, runs in enumerate((padded[1:-1, 1:] ^ padded[1:-1, :-1]).T):
        parts += [f"M{column} {start}V{stop}" for start, stop in _runs(runs)]
    return "".join(parts)


def area(mask: NDArray[np.bool_]) -> str:
    """SVG path that covers the true pixels of a (rows, columns) mask, in pixel units; "" if there are none."""
    parts = []
    for row, pixels in enumerate(mask):
        parts += [f"M{start} {row}h{stop - start}v1h{start - stop}z" for start, stop in _runs(pixels)]
    return "".join(parts)


def picture(shown: Slice, alt: str) -> Html:
    """The slice as markup.

    Args:
        shown: the slice.
        alt: says what is seen, for those who do not see it.
    """
    width, height = shown.size_mm
    rows, columns = shown.grid
    paths = [
        el("path", d=path, class_=f"area {kind}", fill=OVERLAY_COLOURS[colour % len(OVERLAY_COLOURS)])
        for kind, colour, path in shown.areas
    ]
    for kind, colour, path in shown.outlines:
        paths.append(el("path", d=path, class_=f"under {kind}"))
        paths.append(el("path", d=path, class_=kind, stroke=OVERLAY_COLOURS[colour % len(OVERLAY_COLOURS)]))
    letters = [
        el("span", letter, class_=side, aria_hidden="true")
        for letter, side in zip(shown.letters, ("left", "right", "top", "bottom"), strict=True)
    ]
    ratio = width / height
    # as wide as there is room, but not taller than the limit
    limit = f"--ratio:{ratio:.4f};aspect-ratio:{width:.4f}/{height:.4f};max-width:{_MAX_HEIGHT_REM * ratio:.2f}rem"
    overlay = el("svg", *paths, view_box=f"0 0 {columns} {rows}", preserve_aspect_ratio="none", aria_hidden="true")
    frame = el("div", el("img", src=_png(shown.pixels), alt=alt), overlay, *letters, class_="slice", style=limit)
    return el("div", frame, el("p", f"{shown.plane}, {shown.position_mm:.0f} mm"), class_="plane")


def _slice(
    plane: str,
    image: NDArray[Any],
    labels: Sequence[NDArray[Any]],
    maps: Sequence[Outlined],
    cut: Cut,
    box: tuple[slice, ...],
    spacing: NDArray[np.float64],
    window: Window,
) -> Slice:
    through, across, down, _ = PLANES[plane]

    def view(volume: NDArray[Any]) -> NDArray[Any]:
        index = tuple(cut[axis] if axis == through else box[axis] for axis in range(3))
        return _turned(volume[index], plane)

    pixels = view(image)
    areas, outlines = [], []
    for one, array in zip(maps, labels, strict=True):
        part = view(array)
        for label, colour in one.colours.items():
            mask = part == label
            if one.is_filled and mask.any():
                areas.append((one.kind, colour, area(mask)))
            elif mask.any():
                outlines.append((one.kind, colour, outline(mask)))
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
    """The index along each axis where most is seen of some labels.

    Each label counts by the share of its largest slice, so that a small one is not lost beside a large one.

    Args:
        labels: label maps on the same grid; the first that holds one of the labels decides.
        focus: the labels; empty for all but the background.
        shape: of the grid, whose middle is taken where there is no such label.
    """
    for label in labels:
        present = [value for value in np.unique(label).tolist() if value and (not focus or value in focus)]
        if present:
            x, y, z = (int(np.argmax(_seen(label, present, axis))) for axis in range(3))
            return x, y, z
    x, y, z = (length // 2 for length in shape)
    return x, y, z


def _seen(label: NDArray[Any], values: Sequence[int], axis: int) -> NDArray[np.float64]:
    """For each slice across an axis, how much of the labels it holds, each relative to its largest slice."""
    others = tuple(other for other in range(3) if other != axis)
    seen = np.zeros(label.shape[axis])
    for value in values:
        counts = np.count_nonzero(label == value, axis=others)
        seen += counts / counts.max()
    return seen


def _box(
    labels: Sequence[NDArray[Any]], shape: Sequence[int], spacing: NDArray[np.float64], margin_mm: float | None
) -> tuple[slice, ...]:
    inside = np.zeros(shape, dtype=bool)
    for label in labels:
        inside |= label != 0
    if margin_mm is None or not inside.any():
        return tuple(slice(0, length) for length in shape)
    box = []
    for axis, length in enumerate(shape):
        used = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        extra = math.ceil(margin_mm / float(spacing[axis]))
        box.append(slice(max(0, int(used[0]) - extra), min(length, int(used[-1]) + 1 + extra)))
    return tuple(box)


def _reduced(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Averaged over blocks until no side has more than MAX_PIXELS; edge blocks are averaged over what they have."""
    values = pixels.astype(np.float32)
    for axis in (0, 1):
        step = math.ceil(values.shape[axis] / MAX_PIXELS)
        if step > 1:
            starts = np.arange(0, values.shape[axis], step)
            sums = np.add.reduceat(values, starts, axis=axis)
            sizes = np.diff([*starts.tolist(), values.shape[axis]])
            values = (sums / (sizes[:, None] if axis == 0 else sizes)).astype(np.float32)
    return values


def _eight_bit(pixels: NDArray[np.float32], window: Window) -> NDArray[np.uint8]:
    scaled = (pixels - window.low) / max(window.high - window.low, 1e-6) * 255
    return np.asarray(np.clip(np.rint(scaled), 0, 255), dtype=np.uint8)


def _png(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _runs(row: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open ranges of true values."""
    changes = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))
