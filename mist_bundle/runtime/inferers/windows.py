"""Where sliding windows lie, in which order they come, and which parts of the image each of them completes.

The windows are MONAI's (`dense_patch_slices`): steps of a share of the window, the last window moved back to the end of
the image; an image smaller than the window lies in its middle. Or they are nnU-Net's, whose steps are all alike. The
starts and ends of all windows cut each axis into segments, and their products the image into cells. A cell is complete
when the last window that reaches it is done.

Windows laid on a flipped image lie elsewhere on the image itself. Each combination of flips is a layout of its own; all
layouts share one order of windows and one set of cells, so that their predictions can be averaged cell by cell.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

Index = tuple[int, int, int]
MONAI, NNUNET = "monai", "nnunet"  # by whose rule windows are laid


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of an axis that no window starts or ends in.

    Attributes:
        start: first voxel.
        stop: the voxel behind its last voxel.
        first: number of the first window along this axis that reaches it.
        last: number of the last window that does.
    """

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Axis:
    """The windows along an axis; `starts` may be negative where the image is smaller than a window."""

    length: int
    size: int
    starts: tuple[int, ...]

    @classmethod
    def of(cls, length: int, size: int, overlap: float, tiling: str = MONAI) -> Axis:
        """Windows of `size` voxels along an axis of `length`, overlapping by a share of their size."""
        if length <= size:
            return cls(length, size, (-((size - length) // 2),))
        if tiling == NNUNET:
            steps = math.ceil((length - size) / (size * (1 - overlap)))
            even = (length - size) / steps
            return cls(length, size, tuple(round(even * number) for number in range(steps + 1)))
        step = max(1, int(size * (1 - overlap)))
        starts = []
        for start in range(0, length, step):
            starts.append(min(start, length - size))
            if start + size >= length:
                break
        return cls(length, size, tuple(starts))

    def mirrored(self) -> Axis:
        """Where the same windows lie once the flipped axis is flipped back."""
        last = self.length - self.size
        return Axis(self.length, self.size, tuple(last - start for start in reversed(self.starts)))

    def joined(self, other: Axis) -> Axis:
        """The windows of both, each once."""
        return Axis(self.length, self.size, tuple(sorted({*self.starts, *other.starts})))

    def segments(self) -> list[Segment]:
        """The axis, cut wherever a window starts or ends."""
        cuts = {0, self.length}
        for window in self.starts:
            cuts |= {max(window, 0), min(window + self.size, self.length)}
        segments = []
        for start, stop in itertools.pairwise(sorted(cuts)):
            reaching = []
            for number, window in enumerate(self.starts):
                if window <= start and stop <= window + self.size:
                    reaching.append(number)
            segments.append(Segment(start, stop, reaching[0], reaching[-1]))
        return segments


class Windows:
    """The windows over an image and its cells.

    Args:
        shape: (X, Y, Z) of the image.
        size: of a window.
        overlap: share of a window that the next window covers again, for all axes or for each.
        tiling: "monai" or "nnunet": by whose rule the windows are laid.
        flip_axes: axes of whose flips each combination has a layout of its own: the windows of the flipped image.
    """

    def __init__(
        self,
        shape: Sequence[int],
        size: Sequence[int],
        overlap: float | Sequence[float],
        tiling: str = MONAI,
        flip_axes: Sequence[int] = (),
    ) -> None:
        overlaps = (overlap,) * 3 if isinstance(overlap, (int, float)) else tuple(overlap)
        self.layouts = flip_combinations(flip_axes)
        self._upright = list(map(Axis.of, shape, size, overlaps, (tiling,) * 3))
        self._mirrored = [axis.mirrored() for axis in self._upright]
        self.axes = list(self._upright)
        for axis in flip_axes:
            self.axes[axis] = self._upright[axis].joined(self._mirrored[axis])
        self.segments = [axis.segments() for axis in self.axes]
        # the longest axis outermost: what is unfinished at any time is a layer across it
        self.order = sorted(range(3), key=lambda axis: -self.axes[axis].length)

    def __iter__(self) -> Iterator[Index]:
        """The numbers of all windows along X, Y, Z, in the order in which they come."""
        return self._in_order([range(len(axis.starts)) for axis in self.axes])

    def start(self, window: Index) -> Index:
        """First voxel of a window."""
        x, y, z = self.axes
        return x.starts[window[0]], y.starts[window[1]], z.starts[window[2]]

    def layouts_of(self, window: Index) -> list[int]:
        """The numbers of the layouts that have this window: at least one."""
        start = self.start(window)
        numbers = []
        for number, flipped in enumerate(self.layouts):
            has_it = True
            for axis in range(3):
                own = self._mirrored[axis] if axis in flipped else self._upright[axis]
                has_it = has_it and start[axis] in own.starts
            if has_it:
                numbers.append(number)
        return numbers

    def reached(self, window: Index) -> Iterator[Index]:
        """The cells that a window reaches."""
        cells: list[list[int]] = [[], [], []]
        for axis, segments in enumerate(self.segments):
            for index, segment in enumerate(segments):
                if segment.first <= window[axis] <= segment.last:
                    cells[axis].append(index)
        return self._in_order(cells)

    def completed(self, window: Index) -> Iterator[Index]:
        """The cells whose last window it is; a cell comes after its neighbours on the low sides."""
        cells: list[list[int]] = [[], [], []]
        for axis, segments in enumerate(self.segments):
            for index, segment in enumerate(segments):
                if segment.last == window[axis]:
                    cells[axis].append(index)
        return self._in_order(cells)

    def box(self, cell: Index) -> tuple[slice, slice, slice]:
        """The voxels of a cell."""
        x, y, z = self.segments[0][cell[0]], self.segments[1][cell[1]], self.segments[2][cell[2]]
        return slice(x.start, x.stop), slice(y.start, y.stop), slice(z.start, z.stop)

    def _in_order(self, numbers: Sequence[Sequence[int]]) -> Iterator[Index]:
        """All combinations of numbers along X, Y, Z, with those of the longest axis outermost."""
        sorted_by_length = [numbers[axis] for axis in self.order]
        for chosen in itertools.product(*sorted_by_length):
            placed = dict(zip(self.order, chosen, strict=True))
            yield placed[0], placed[1], placed[2]


def flip_combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """All subsets of the axes, beginning with the empty subset: 8 for three axes."""
    subsets: list[tuple[int, ...]] = []
    for size in range(len(axes) + 1):
        subsets += itertools.combinations(axes, size)
    return subsets


def gaussian_of_nnunet(size: Sequence[int], sigma_scale: Sequence[float]) -> torch.Tensor:
    """The weights (X, Y, Z) of a window: nnU-Net's Gaussian around voxel `size // 2`, cut off at four sigma, 1 there.

    Source: nnU-Net v2, inference/sliding_window_prediction.py; nnU-Net rounds it to half precision.
    """
    point = np.zeros(size)
    point[tuple(length // 2 for length in size)] = 1
    sigmas = np.multiply(size, sigma_scale).tolist()
    weights = gaussian_filter(point, sigmas, 0, mode="constant", cval=0)
    weights /= weights.max()
    weights[weights == 0] = weights[weights > 0].min()
    return torch.from_numpy(weights.astype(np.float32))
