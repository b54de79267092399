"""Resampling slices that do not form a regular volume: uneven or missing slices, and a tilted gantry.

The even slices are parallel to those of the series, and as far apart as these usually are. Values are interpolated
linearly, within a plane where slices are shifted sideways and between the two planes beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.dicom_frames import LPS_TO_RAS, Frame, typical_gap


@dataclass(frozen=True, slots=True)
class EvenSlices:
    """The grid that slices are resampled to.

    Attributes:
        shifts: of each slice, in columns and rows from the first column and row of the grid, (N, 2).
        heights_mm: of each slice above the first, (N,).
        shape: columns, rows, slices of the grid.
        step_mm: distance of its slices.
        affine: column, row, slice -> RAS+ millimetres.
    """

    shifts: NDArray[np.float64]
    heights_mm: NDArray[np.float64]
    shape: tuple[int, int, int]
    step_mm: float
    affine: NDArray[np.float64]

    def resample(self, slices: Iterable[NDArray[np.float32]], fill: float) -> NDArray[np.float32]:
        """The volume of the grid.

        Args:
            slices: (columns, rows) of each slice, in the order of their heights.
            fill: value where no slice reaches.
        """
        volume = np.full(self.shape, fill, dtype=np.float32)
        below: NDArray[np.float32] | None = None
        for index, pixels in enumerate(slices):
            here = self._placed(pixels, self.shifts[index], fill)
            for number in self._between(index):
                height = number * self.step_mm
                if below is None or height >= self.heights_mm[index]:
                    volume[..., number] = here
                    continue
                gap = self.heights_mm[index] - self.heights_mm[index - 1]
                weight = np.float32((height - self.heights_mm[index - 1]) / gap)
                volume[..., number] = below * (1 - weight) + here * weight
            below = here
        return volume

    def on_slice(self, volume: NDArray[np.uint8], index: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Labels of the grid on a slice that was resampled to it, by the nearest voxel: (columns, rows)."""
        column, row = np.round(self.shifts[index]).astype(int).tolist()
        number = round(float(self.heights_mm[index]) / self.step_mm)
        return volume[column : column + shape[0], row : row + shape[1], number]

    def _between(self, index: int) -> range:
        """Numbers of the even slices above the slice before, up to this slice."""
        tolerance = 1e-6
        first = 0
        if index > 0:
            first = math.floor(float(self.heights_mm[index - 1]) / self.step_mm + tolerance) + 1
        last = math.floor(float(self.heights_mm[index]) / self.step_mm + tolerance)
        return range(first, min(last, self.shape[2] - 1) + 1)

    def _placed(self, pixels: NDArray[np.float32], shift: NDArray[np.float64], fill: float) -> NDArray[np.float32]:
        """A slice at its place in the plane of the grid."""
        plane = np.zeros(self.shape[:2], dtype=np.float32)
        covered = np.zeros(self.shape[:2], dtype=np.float32)
        whole = np.floor(shift).astype(int)
        part = shift - whole
        for column in (0, 1):
            for row in (0, 1):
                weight = np.float32(abs(1 - column - part[0]) * abs(1 - row - part[1]))
                if weight == 0:
                    continue
                left, top = int(whole[0]) + column, int(whole[1]) + row
                place = np.s_[left : left + pixels.shape[0], top : top + pixels.shape[1]]
                plane[place] += weight * pixels
                covered[place] += weight
        return plane + (1 - covered) * np.float32(fill)


def even_slices(frames: Sequence[Frame]) -> EvenSlices:
    """The grid for sorted slices of the same plane, shape and spacing."""
    first = frames[0]
    away = np.stack([frame.position_mm - first.position_mm for frame in frames])
    spacing = np.array([first.pixel_spacing_mm[1], first.pixel_spacing_mm[0]])  # along a row the columns follow
    sideways = np.round(away @ first.cosines.T / spacing, 4)  # what rounding adds is not a shift
    start = np.floor(sideways.min(axis=0))
    shifts = sideways - start
    reach = np.ceil(shifts.max(axis=0)).astype(int)
    heights = away @ first.normal
    count = round(float(heights[-1]) / typical_gap(np.diff(heights))) + 1
    step = float(heights[-1]) / (count - 1)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.cosines[0] * spacing[0], first.cosines[1] * spacing[1]
    affine[:3, 2] = first.normal * step
    affine[:3, 3] = first.position_mm + affine[:3, :2] @ start
    shape = (first.shape[1] + int(reach[0]), first.shape[0] + int(reach[1]), count)
    return EvenSlices(shifts, heights, shape, step, LPS_TO_RAS @ affine)
