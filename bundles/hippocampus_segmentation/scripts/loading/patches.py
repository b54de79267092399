"""Which patch is cut next, and what is done to it: the one place where the training loaders' randomness is drawn.

Pure numpy, without state: patch `index` of epoch `epoch` on a rank is a function of (seed, epoch, index, rank,
world_size) alone. Hence a resumed run continues exactly, every loader cuts the same patches, and the result does not
depend on threads or workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .affine import Box, Map, Matrix, linear_map, place
from .augmentation import Augmentation
from .volumes import CacheEntry, Triple, read_region

# distinguish the streams that grow from one seed
_CASES, _PATCHES, _NOISE = 1, 2, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchDraw:
    """Everything random about one patch.

    Attributes:
        case: which case.
        start: first voxel of the box to read; negative where the volume is smaller than the box (padding, centred).
        extent: size of the box to read: the patch size, less where it is enlarged (zoom) afterwards, more where it is
            rotated or scaled.
        flips: mirrored axes.
        box_map: where patch voxels lie in the box, when it is rotated or scaled (see affine.py); flips and zoom are in
            it. None: they do not need interpolation, or only that of the zoom.
        noise_sd: standard deviation of the noise; 0 = none.
        noise_seed: seed of the noise.
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
    noise_seed: int
    blur_sigma: float
    brightness: float
    contrast: float
    box_map: Map | None = None
    contrast_about_mean: bool = False
    low_resolution: Triple | None = None
    gamma: float = 1.0
    inverted_gamma: float = 1.0


class PatchSampler:
    """Draws patches for one rank.

    Cases: all ranks share one shuffled order and take turns in it, so that no case comes twice before all have come
    once. An epoch with at least as many patches as cases begins a new order and shows every case; shorter epochs
    continue the order where the one before stopped.

    Place: with `foreground_probability` a class is chosen (uniformly among those present, background excepted), then
    one of its voxels, and the box is laid at random around it; otherwise the box is anywhere. The zoom takes part in
    this, so that an enlarged patch still holds the voxel chosen.
    """

    def __init__(
        self,
        cases: Sequence[CacheEntry],
        patch_size: Sequence[int],
        *,
        patches_per_epoch: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        augmentation: Augmentation | None = None,
        foreground_probability: float = 0.6,
        allow_resampling: bool = True,
    ) -> None:
        """Take the settings.

        Args:
            cases: at least one.
            patch_size: voxels on X, Y, Z.
            patches_per_epoch: number of patches of this rank in an epoch.
            seed: at least 0.
            rank: this process; 0 <= rank < world_size.
            world_size: number of processes.
            augmentation: what may be drawn.
            foreground_probability: 0 to 1.
            allow_resampling: False where distance maps travel along, whose values zoom, rotation and scaling would
                falsify.
        """
        if not cases:
            raise ValueError("there is no case to draw patches from.")
        self.cases = tuple(cases)
        self.patch_size: Triple = (patch_size[0], patch_size[1], patch_size[2])
        self.patches_per_epoch = patches_per_epoch
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.augmentation = augmentation or Augmentation()
        self.foreground_probability = foreground_probability
        self.allow_resampling = allow_resampling

    def draw(self, epoch: int, index: int) -> PatchDraw:
        """Everything random about patch `index` (0 <= index < patches_per_epoch) of an epoch of this rank."""
        position = index * self.world_size + self.rank
        case = self._case(epoch, position)
        rng = np.random.default_rng((self.seed, _PATCHES, epoch, position))
        # one fixed row of numbers: changing one setting never moves the draws of another
        u = rng.random(32).tolist()
        entry = self.cases[case]
        extent, flips = self._extent(u[0], u[1]), self._flips(u[16:19])
        anchor = self._anchor(entry, u[2], u[3:5])
        linear = self._linear(entry, extent, flips, u[20:26])
        if linear is None:
            box = Box(_start(entry, extent, anchor, u[5:8]), extent, None)
        else:
            box = place(linear, self.patch_size, entry.shape, anchor, u[5:8])
        return PatchDraw(
            case=case,
            start=box.start,
            extent=box.extent,
            flips=flips,
            box_map=box.map,
            noise_seed=int(u[19] * 2**53),
            low_resolution=self._low_resolution(u[26], u[27]),
            contrast_about_mean=self.augmentation.contrast_about_mean,
            **self._intensities([*u[8:16], *u[28:32]]),
        )

    def _case(self, epoch: int, position: int) -> int:
        count, per_epoch = len(self.cases), self.patches_per_epoch * self.world_size
        if per_epoch < count:  # go on where the last epoch stopped
            block, place = divmod(epoch * per_epoch + position, count)
            return int(_permutation(self.seed, 0, block, count)[place])
        block, place = divmod(position, count)
        return int(_permutation(self.seed, 1 + epoch, block, count)[place])

    def _extent(self, u_event: float, u_value: float) -> Triple:
        settings = self.augmentation
        if not (settings.enabled and self.allow_resampling and u_event < settings.zoom_probability):
            return self.patch_size
        scale = _between(settings.zoom_range, u_value)
        x, y, z = (max(1, int(size * scale + 0.5)) for size in self.patch_size)
        return x, y, z

    def _anchor(self, case: CacheEntry, u_event: float, u_voxel: Sequence[float]) -> Triple | None:
        if not case.classes or u_event >= self.foreground_probability:
            return None
        stored = case.classes[int(u_voxel[0] * len(case.classes))]
        return case.voxel(stored, int(u_voxel[1] * stored.num_rows))

    def _linear(self, case: CacheEntry, extent: Triple, flips: Sequence[bool], u: Sequence[float]) -> Matrix | None:
        """The map of a rotated or scaled patch, its zoom and flips included; None for one that is neither."""
        settings = self.augmentation
        allowed = settings.enabled and self.allow_resampling
        turned, scaled = u[0] < settings.rotation_probability, u[4] < settings.scaling_probability
        if not (allowed and (turned or scaled)):
            return None
        degrees = [
            _between(settings.rotation_range, value) if turned and axis in settings.rotation_axes else 0.0
            for axis, value in enumerate(u[1:4])
        ]
        scale = _between(settings.scaling_range, u[5]) if scaled else 1.0
        scales = [scale * part / whole for part, whole in zip(extent, self.patch_size, strict=True)]
        spacing = np.linalg.norm(np.asarray(case.affine)[:3, :3], axis=0)
        return linear_map(degrees, scales, flips, spacing)

    def _low_resolution(self, u_event: float, u_value: float) -> Triple | None:
        settings = self.augmentation
        if not (settings.enabled and u_event < settings.low_resolution_probability):
            return None
        share = _between(settings.low_resolution_range, u_value)
        x, y, z = (
            max(1, int(size * share + 0.5)) if axis in settings.low_resolution_axes else size
            for axis, size in enumerate(self.patch_size)
        )
        return x, y, z

    def _flips(self, u: Sequence[float]) -> tuple[bool, bool, bool]:
        settings = self.augmentation
        x, y, z = (
            settings.enabled and axis in settings.flip_axes and u[axis] < settings.flip_probability for axis in range(3)
        )
        return x, y, z

    def _intensities(self, u: Sequence[float]) -> dict[str, Any]:
        settings = self.augmentation

        def value(number: int, probability: float, bounds: tuple[float, float], nothing: float) -> float:
            happens = settings.enabled and u[2 * number] < probability
            return _between(bounds, u[2 * number + 1]) if happens else nothing

        return {
            "noise_sd": value(0, settings.noise_probability, settings.noise_sd_range, 0.0),
            "blur_sigma": value(1, settings.blur_probability, settings.blur_sigma_range, 0.0),
            "brightness": value(2, settings.brightness_probability, settings.brightness_range, 1.0),
            "contrast": value(3, settings.contrast_probability, settings.contrast_range, 1.0),
            "gamma": value(4, settings.gamma_probability, settings.gamma_range, 1.0),
            "inverted_gamma": value(5, settings.inverted_gamma_probability, settings.inverted_gamma_range, 1.0),
        }

    def read(self, draw: PatchDraw, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Cut the box out of each array: (C, *draw.extent), mirrored, not yet interpolated, intensities untouched."""
        case = self.cases[draw.case]
        flips = draw.flips if draw.box_map is None else (False, False, False)  # the map mirrors
        return {key: read_region(case.array(key), draw.start, draw.extent, flips) for key in keys}

    def noise(self, draw: PatchDraw, channels: int) -> NDArray[np.float32]:
        """The noise to add to a patch of `patch_size`, float32 (C, X, Y, Z)."""
        rng = np.random.default_rng((self.seed, _NOISE, draw.noise_seed))
        noise = rng.standard_normal((channels, *self.patch_size), dtype=np.float32)
        noise *= np.float32(draw.noise_sd)
        return noise


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
    return starts[0], starts[1], starts[2]


def _between(bounds: tuple[float, float], u: float) -> float:
    return bounds[0] + u * (bounds[1] - bounds[0])


@lru_cache(maxsize=16)
def _permutation(seed: int, cycle: int, block: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, _CASES, cycle, block)).permutation(count)
