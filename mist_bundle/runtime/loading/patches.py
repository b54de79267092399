"""Which patch is cut next, and what is done to it: all randomness of the training loaders is drawn here.

Pure numpy, without state: the patch at a position of an epoch's row is a function of (seed, epoch, position) alone.
Hence a resumed run continues exactly, every loader cuts the same patches, and the result depends neither on threads or
workers nor on how many processes train together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..numerics.triples import Triple, triple
from .affine import Box, Map, Matrix, linear_map, place
from .noise import OFFSETS, noise_piece, noise_table
from .settings import PatchSettings
from .volumes import CacheEntry, read_region

# distinguish the streams that grow from the same seed
_CASES, _PATCHES, _NOISE, _DROPS = 1, 2, 3, 4

# What a patch draws, by name, and how many numbers in [0, 1) that takes: an event (whether it happens) comes first.
# Every patch draws all of them, so changing a setting never moves the draws of another. New names go to the end.
STREAMS: Mapping[str, int] = {
    "zoom": 2,  # event, size
    "foreground": 3,  # event, class, voxel
    "place": 3,  # on X, Y, Z
    "noise": 2,  # event, strength; and so the next three
    "blur": 2,
    "brightness": 2,
    "contrast": 2,
    "flips": 3,  # events on X, Y, Z
    "noise_offset": 1,
    "rotation": 4,  # event, angles about X, Y, Z
    "scaling": 2,  # event, factor
    "low_resolution": 2,  # event, share
    "gamma": 2,  # event, exponent
    "inverted_gamma": 2,
}


class RandomNumbers:
    """The numbers that a patch draws, by the name of what they decide."""

    __slots__ = ("_row",)

    def __init__(self, rng: np.random.Generator) -> None:
        self._row: list[float] = rng.random(_ROW_LENGTH).tolist()

    def __getitem__(self, name: str) -> list[float]:
        return self._row[_SLICES[name]]


def _slices() -> dict[str, slice]:
    slices, first = {}, 0
    for name, count in STREAMS.items():
        slices[name] = slice(first, first + count)
        first += count
    return slices


_SLICES = _slices()
_ROW_LENGTH = sum(STREAMS.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchDraw:
    """Everything random about a patch.

    Attributes:
        case: which case.
        start: first voxel of the box to read; negative where the volume is smaller than the box (padding, centred).
        extent: size of the box to read: the patch size, less where it is enlarged (zoom) afterwards, more where it is
            rotated or scaled.
        flips: mirrored axes.
        box_map: where patch voxels lie in the box, when it is rotated or scaled (see affine.py); flips and zoom are in
            it. None: they do not need interpolation, or only that of the zoom.
        noise_sd: standard deviation of the noise; 0 = none.
        noise_offset: where the noise begins in the table of random numbers.
        blur_sigma: in voxels; 0 = none.
        brightness: factor; 1 = none.
        contrast: factor; 1 = none.
        contrast_about_mean: the factor stretches each channel about its mean.
        low_resolution: size that the patch is reduced to before it is enlarged again; None = not at all.
        gamma: exponent; 1 = none.
        inverted_gamma: exponent on the inverted image; 1 = none.
    """

    case: int
    start: Triple
    extent: Triple
    flips: tuple[bool, bool, bool]
    noise_sd: float
    noise_offset: int
    blur_sigma: float
    brightness: float
    contrast: float
    box_map: Map | None = None
    contrast_about_mean: bool = False
    low_resolution: Triple | None = None
    gamma: float = 1.0
    inverted_gamma: float = 1.0


class PatchSampler:
    """Draws the patches of a training.

    Cases: an epoch is a row of patches, shared out over the processes, and the cases take turns in a shuffled order,
    so that no case comes twice before all have come once. An epoch with at least as many patches as cases begins a new
    order and shows every case; shorter epochs continue the order where the last epoch stopped.

    Place: with `foreground_probability` a class is chosen (uniformly among those present, background excepted), then
    a voxel of that class, and the box is laid at random around it; otherwise the box is anywhere. The zoom takes part
    in this, so that an enlarged patch still holds the chosen voxel.
    """

    def __init__(self, cases: Sequence[CacheEntry], settings: PatchSettings, *, allow_resampling: bool = True) -> None:
        """Store the settings.

        Args:
            cases: preprocessed cases, not empty.
            settings: with `steps_per_epoch`.
            allow_resampling: False where distance maps travel along, whose values zoom, rotation and scaling would
                falsify.
        """
        if not cases:
            raise ValueError("there is no case to draw patches from.")
        self.cases = tuple(cases)
        self.settings = settings.for_cases(len(cases))
        self.patch_size = settings.patch_size
        self.augmentation = settings.augmentation
        self.allow_resampling = allow_resampling
        self._noise_table: NDArray[np.float32] | None = None

    @property
    def channels(self) -> int:
        """Number of channels of the image."""
        return int(self.cases[0].array("image").shape[0])

    def draw(self, epoch: int, position: int) -> PatchDraw:
        """Everything random about the patch at a position (0 <= position < patches_per_epoch) of an epoch's row."""
        case = self._case(epoch, position)
        numbers = RandomNumbers(np.random.default_rng((self.settings.seed, _PATCHES, epoch, position)))
        entry = self.cases[case]
        extent, flips = self._extent(numbers["zoom"]), self._flips(numbers["flips"])
        anchor = self._anchor(entry, numbers["foreground"])
        linear = self._linear(entry, extent, flips, numbers)
        if linear is None:
            box = Box(_start(entry, extent, anchor, numbers["place"]), extent, None)
        else:
            box = place(linear, self.patch_size, entry.shape, anchor, numbers["place"])
        return PatchDraw(
            case=case,
            start=box.start,
            extent=box.extent,
            flips=flips,
            box_map=box.map,
            noise_offset=int(numbers["noise_offset"][0] * OFFSETS),
            low_resolution=self._low_resolution(numbers["low_resolution"]),
            contrast_about_mean=self.augmentation.contrast_about_mean,
            **self._intensities(numbers),
        )

    def _case(self, epoch: int, position: int) -> int:
        count, per_epoch, seed = len(self.cases), self.settings.patches_per_epoch, self.settings.seed
        if per_epoch < count:  # continue where the last epoch stopped
            block, place_in_block = divmod(epoch * per_epoch + position, count)
            return int(_permutation(seed, 0, block, count)[place_in_block])
        block, place_in_block = divmod(position, count)
        return int(_permutation(seed, 1 + epoch, block, count)[place_in_block])

    def _extent(self, numbers: Sequence[float]) -> Triple:
        settings = self.augmentation
        event, value = numbers
        if not (settings.enabled and self.allow_resampling and event < settings.zoom_probability):
            return self.patch_size
        scale = _between(settings.zoom_range, value)
        x, y, z = self.patch_size
        return _scaled(x, scale), _scaled(y, scale), _scaled(z, scale)

    def _anchor(self, case: CacheEntry, numbers: Sequence[float]) -> Triple | None:
        event, class_number, voxel_number = numbers
        if not case.classes or event >= self.settings.foreground_probability:
            return None
        stored = case.classes[int(class_number * len(case.classes))]
        return case.voxel(stored, int(voxel_number * stored.num_rows))

    def _linear(self, case: CacheEntry, extent: Triple, flips: Sequence[bool], numbers: RandomNumbers) -> Matrix | None:
        """The map of a rotated or scaled patch, its zoom and flips included; None for a patch that is neither."""
        settings = self.augmentation
        allowed = settings.enabled and self.allow_resampling
        rotation_event, *angles = numbers["rotation"]
        scaling_event, scaling_value = numbers["scaling"]
        turned, scaled = rotation_event < settings.rotation_probability, scaling_event < settings.scaling_probability
        if not (allowed and (turned or scaled)):
            return None
        degrees = [0.0, 0.0, 0.0]
        if turned:
            for axis in settings.rotation_axes:
                degrees[axis] = _between(settings.rotation_range, angles[axis])
        scale = _between(settings.scaling_range, scaling_value) if scaled else 1.0
        scales = scale * np.asarray(extent) / np.asarray(self.patch_size)
        spacing = np.linalg.norm(np.asarray(case.affine)[:3, :3], axis=0)
        return linear_map(degrees, scales.tolist(), flips, spacing)

    def _low_resolution(self, numbers: Sequence[float]) -> Triple | None:
        settings = self.augmentation
        event, value = numbers
        if not (settings.enabled and event < settings.low_resolution_probability):
            return None
        share = _between(settings.low_resolution_range, value)
        reduced = list(self.patch_size)
        for axis in settings.low_resolution_axes:
            reduced[axis] = _scaled(reduced[axis], share)
        return triple(reduced)

    def _flips(self, events: Sequence[float]) -> tuple[bool, bool, bool]:
        settings = self.augmentation
        flips = [False, False, False]
        if settings.enabled:
            for axis in settings.flip_axes:
                flips[axis] = events[axis] < settings.flip_probability
        return flips[0], flips[1], flips[2]

    def _intensities(self, numbers: RandomNumbers) -> dict[str, Any]:
        settings = self.augmentation

        def value(name: str, bounds: tuple[float, float], nothing: float) -> float:
            event, drawn = numbers[name]
            happens = settings.enabled and event < getattr(settings, f"{name}_probability")
            return _between(bounds, drawn) if happens else nothing

        return {
            "noise_sd": value("noise", settings.noise_sd_range, 0.0),
            "blur_sigma": value("blur", settings.blur_sigma_range, 0.0),
            "brightness": value("brightness", settings.brightness_range, 1.0),
            "contrast": value("contrast", settings.contrast_range, 1.0),
            "gamma": value("gamma", settings.gamma_range, 1.0),
            "inverted_gamma": value("inverted_gamma", settings.inverted_gamma_range, 1.0),
        }

    def dropped(self, epoch: int, position: int) -> tuple[int, ...]:
        """The optional channels that the patch at a position of an epoch's row goes without."""
        settings = self.augmentation
        random = np.random.default_rng((self.settings.seed, _DROPS, epoch, position))
        events = random.random(len(settings.optional_channels)).tolist()
        dropped = []
        for channel, event in zip(settings.optional_channels, events, strict=True):
            if event < settings.channel_drop_probability:
                dropped.append(channel)
        return tuple(dropped)

    def read(self, draw: PatchDraw, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Cut the box out of each array: (C, *draw.extent), mirrored, not yet interpolated, intensities untouched."""
        case = self.cases[draw.case]
        flips = draw.flips if draw.box_map is None else (False, False, False)  # the map mirrors
        arrays = {}
        for key in keys:
            arrays[key] = read_region(case.array(key), draw.start, draw.extent, flips)
        return arrays

    def noise_table(self) -> NDArray[np.float32]:
        """The random numbers that all noise is taken from; see noise.py."""
        if self._noise_table is None:
            self._noise_table = noise_table((self.settings.seed, _NOISE), self.channels, self.patch_size)
        return self._noise_table

    def noise(self, draw: PatchDraw) -> NDArray[np.float32] | None:
        """The noise of a patch before its strength is applied, float32 (C, X, Y, Z); None where none was drawn."""
        if draw.noise_sd <= 0:
            return None
        return noise_piece(self.noise_table(), draw.noise_offset, self.channels, self.patch_size)


def _start(case: CacheEntry, extent: Triple, anchor: Triple | None, u_place: Sequence[float]) -> Triple:
    starts = []
    for axis, (length, size, u) in enumerate(zip(case.shape, extent, u_place, strict=True)):
        room = length - size
        if room <= 0:  # centred, as the sliding window of inference pads
            starts.append(-((size - length) // 2))
        elif anchor is None:
            starts.append(int(u * (room + 1)))
        else:
            starts.append(min(max(anchor[axis] - int(u * size), 0), room))
    return triple(starts)


def _scaled(size: int, share: float) -> int:
    """A share of an axis: at least 1 voxel, halves rounded up."""
    return max(1, int(size * share + 0.5))


def _between(bounds: tuple[float, float], u: float) -> float:
    return bounds[0] + u * (bounds[1] - bounds[0])


@lru_cache(maxsize=16)
def _permutation(seed: int, cycle: int, block: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, _CASES, cycle, block)).permutation(count)
