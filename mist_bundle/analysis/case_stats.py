"""Everything the planner wants to know about one case, from a single reading of each of its files.

Shapes and spacings are given along L, P, S, the axis order of training, whatever the files' own order; only the crop
box is in the file's own voxel indices. A case whose files do not fit together is refused with all of its problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.analysis.histogram import Histogram, Moments
from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.integrity import check_headers, check_label_values, check_voxels, count_labels
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.numerics import triples
from mist_bundle.runtime.numerics.crop import Box, box_slices, box_volume_reduction, foreground_box
from mist_bundle.runtime.numerics.digest import scan_digest
from mist_bundle.runtime.numerics.grid import axis_letters, orientation_to, spacing_of
from mist_bundle.runtime.numerics.labels import as_labels

# One bin for each Hounsfield unit; elsewhere a thousandth of the range is fine, and the files stay small.
_MAX_BINS_CT = 1 << 16
_MAX_BINS = 1024

_MAX_SAMPLE = 1 << 20  # voxels behind the whole-image figures, which only inform

_WINDOW_PERCENTILES = (0.5, 99.5)

# (channel, image, label) of a case whose files were found to fit together
Look = Callable[[str, Volume, Volume], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelStats:
    """Intensities of one channel of one case.

    Attributes:
        minimum: lowest intensity of the whole image.
        maximum: highest intensity of the whole image.
        low: its 0.5 percentile (this and the next three from at most 2^20 evenly spaced voxels).
        high: its 99.5 percentile.
        mean: its mean.
        std: its standard deviation.
        nonzero_fraction: share of voxels that are not 0, in the whole image.
        nonzero_fraction_cropped: the same inside the crop box.
        labelled: moments of the intensities of all voxels with a label other than 0.
        histogram: counts of these intensities.
        digest: of all voxel values, the same for copies of one scan; "" where the image is constant.
    """

    minimum: float
    maximum: float
    low: float
    high: float
    mean: float
    std: float
    nonzero_fraction: float
    nonzero_fraction_cropped: float
    labelled: Moments
    histogram: Histogram
    digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseStats:
    """Measurements of one case.

    Attributes:
        id: the case.
        shape: voxels along L, P, S.
        spacing_mm: voxel size along L, P, S.
        orientation: where the file's own axes point to, such as "RAS".
        oblique_degrees: largest angle between an axis of the file and the anatomical axis it stands for.
        crop_box: half-open foreground box ((x0, y0, z0), (x1, y1, z1)) in the file's own voxel indices.
        cropped_shape: size of that box along L, P, S.
        crop_reduction: share of the voxels that cropping takes away.
        channels: intensities, one entry for each channel.
        label_voxels: label value -> number of voxels, for all labels of the dataset.
        label_voxels_lost: label value -> voxels outside the crop box, for labels that lose any.
        problems: what is odd about the case without forbidding its use.
    """

    id: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    oblique_degrees: float
    crop_box: Box
    cropped_shape: tuple[int, int, int]
    crop_reduction: float
    channels: tuple[ChannelStats, ...]
    label_voxels: dict[int, int]
    label_voxels_lost: dict[int, int]
    problems: tuple[str, ...] = ()

    @property
    def nonzero_fraction(self) -> tuple[float, ...]:
        """Share of voxels that are not 0 in the whole image, for each channel."""
        return tuple(channel.nonzero_fraction for channel in self.channels)

    @property
    def nonzero_fraction_cropped(self) -> tuple[float, ...]:
        """Share of voxels that are not 0 inside the crop box, for each channel."""
        return tuple(channel.nonzero_fraction_cropped for channel in self.channels)

    @property
    def num_voxels(self) -> int:
        """Voxels of the whole image."""
        return math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        content = asdict(self)
        for plain, channel in zip(content["channels"], self.channels, strict=True):
            plain["histogram"] = channel.histogram.to_json()
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> CaseStats:
        """The inverse of `to_json`, also after the content went through a file."""
        channels = tuple(
            ChannelStats(
                **{
                    **channel,
                    "labelled": Moments(**channel["labelled"]),
                    "histogram": Histogram.from_json(channel["histogram"]),
                }
            )
            for channel in content["channels"]
        )
        start, stop = content["crop_box"]
        return cls(
            id=content["id"],
            shape=triples.triple(content["shape"]),
            spacing_mm=triples.spacing(content["spacing_mm"]),
            orientation=content["orientation"],
            oblique_degrees=content["oblique_degrees"],
            crop_box=(triples.triple(start), triples.triple(stop)),
            cropped_shape=triples.triple(content["cropped_shape"]),
            crop_reduction=content["crop_reduction"],
            channels=channels,
            # JSON keys are text
            label_voxels={int(label): count for label, count in content["label_voxels"].items()},
            label_voxels_lost={int(label): count for label, count in content["label_voxels_lost"].items()},
            problems=tuple(content["problems"]),
        )


def measure_case(case: Case, spec: DatasetSpec, look: Look | None = None) -> CaseStats:
    """Read every file of a case once, check that they fit together, and measure them.

    Args:
        case: a training case, with a label.
        spec: the dataset, for its labels and modality.
        look: called with each channel's volume while it is in memory, for those who measure more.

    Raises:
        InputError: files are damaged, lie on different grids, or hold NaN or unknown labels; all problems at once.
    """
    problems: list[Problem] = []
    label = _read_label(case, spec, problems)
    max_bins = _MAX_BINS_CT if spec.modality == "ct" else _MAX_BINS
    first: Volume | None = None
    box: Box = ((0, 0, 0), (1, 1, 1))
    channels: list[ChannelStats] = []
    warnings = list(label.volume.warnings) if label else []
    for name, path in case.images.items():
        volume = _read(path, problems)
        if volume is None:
            continue
        findings = check_voxels(volume)
        if first is None:
            first = volume
            label = label.on_grid_of(volume) if label else None
            findings += check_headers(volume, label.volume) if label else []
            box = _foreground_box(_intensities(volume)) if not findings else box
        else:
            volume = volume.on_grid_of(first)
            findings += check_headers(first, volume)
        problems += [Problem(name, finding) for finding in findings]
        warnings += volume.warnings
        if not problems and label:
            stats = _channel_stats(_intensities(volume), label.foreground, box, max_bins)
            channels.append(replace(stats, digest=scan_digest(volume.array, volume.affine)))
            if look is not None:
                look(name, volume, label.volume)
            if channels[-1].minimum == channels[-1].maximum:
                level = channels[-1].minimum
                warnings.append(f"{volume.name} is constant ({level:g} everywhere); look at it, or leave out the case.")
    if label and not problems:
        problems += _copied_mask(label, case, channels)
        warnings += _copied_channels(case, channels)
    if problems or first is None or label is None:
        raise InputError(problems or [Problem(case.id, "has no image.")])
    return _assemble(case, spec, first, label, box, tuple(channels), warnings)


def _copied_mask(label: _Label, case: Case, channels: Sequence[ChannelStats]) -> list[Problem]:
    """An image that is the mask trains to a perfect and useless model."""
    digest = scan_digest(label.volume.array, label.volume.affine)
    return [
        Problem(name, f"{path.name} holds the voxels of the mask {label.volume.name}. Put the image in its place.")
        for (name, path), channel in zip(case.images.items(), channels, strict=True)
        if digest and channel.digest == digest
    ]


def _copied_channels(case: Case, channels: Sequence[ChannelStats]) -> list[str]:
    first: dict[str, Path] = {}
    found = []
    for path, channel in zip(case.images.values(), channels, strict=True):
        earlier = first.setdefault(channel.digest, path)
        if channel.digest and earlier is not path:
            found.append(f"{path.name} is a copy of {earlier.name}; put the image of its own channel there.")
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Label:
    volume: Volume
    foreground: NDArray[np.bool_]
    counts: dict[int, int]

    def on_grid_of(self, image: Volume) -> _Label:
        """The same, stored in the order of an image that lies on the same grid."""
        foreground = replace(self.volume, array=self.foreground).on_grid_of(image).array
        return replace(self, volume=self.volume.on_grid_of(image), foreground=foreground)


def _read(path: Path, problems: list[Problem]) -> Volume | None:
    try:
        return read_volume(path)
    except InputError as error:
        problems += error.problems
        return None


def _read_label(case: Case, spec: DatasetSpec, problems: list[Problem]) -> _Label | None:
    if case.label is None:
        problems.append(Problem("mask", "is missing; a training case needs a label file."))
        return None
    volume = _read(case.label, problems)
    if volume is None:
        return None
    counts = count_labels(volume.array)
    known = spec.labels if spec.ignore_label is None else (*spec.labels, spec.ignore_label)
    problems += [Problem("mask", finding) for finding in check_label_values(counts, known, volume.name)]
    whole = {int(value): count for value, count in counts.items() if isinstance(value, int)}
    volume = replace(volume, array=as_labels(volume.array))
    foreground = volume.array != 0
    if spec.ignore_label is not None:  # nobody knows what is there
        foreground &= volume.array != spec.ignore_label
        whole.pop(spec.ignore_label, None)
    return _Label(volume=volume, foreground=foreground, counts=whole)


def _intensities(volume: Volume) -> NDArray[np.float32]:
    # what training sees is float32, so the crop is measured on the same
    return volume.array.astype(np.float32, copy=False)


def _foreground_box(image: NDArray[np.float32]) -> Box:
    # NIfTI lays out x fastest; the transposed view is contiguous for numpy, which saves copies of the whole image
    start, stop = foreground_box(image.T)
    return triples.triple(start[::-1]), triples.triple(stop[::-1])


def _channel_stats(image: NDArray[np.float32], foreground: NDArray[np.bool_], box: Box, max_bins: int) -> ChannelStats:
    labelled = image.T[foreground.T]  # transposed for speed, see _foreground_box
    cropped = image[box_slices(box)]
    sample = image.ravel(order="K")[:: max(1, math.ceil(image.size / _MAX_SAMPLE))]
    low, high = np.percentile(sample, _WINDOW_PERCENTILES)
    return ChannelStats(
        minimum=float(image.min()),
        maximum=float(image.max()),
        low=float(low),
        high=float(high),
        mean=float(sample.mean(dtype=np.float64)),
        std=float(sample.std(dtype=np.float64)),
        nonzero_fraction=int(np.count_nonzero(image)) / image.size,
        nonzero_fraction_cropped=int(np.count_nonzero(cropped)) / cropped.size,
        labelled=Moments.of(labelled),
        histogram=Histogram.of(labelled, max_bins),
    )


def _assemble(
    case: Case,
    spec: DatasetSpec,
    image: Volume,
    label: _Label,
    box: Box,
    channels: tuple[ChannelStats, ...],
    warnings: list[str],
) -> CaseStats:
    permutation, _ = orientation_to(image.affine, image.shape, "LPS")
    spacing = spacing_of(image.affine)
    sides = [stop - start for start, stop in zip(*box, strict=True)]
    kept = count_labels(label.volume.array[box_slices(box)])
    lost = {value: count - kept.get(value, 0) for value, count in label.counts.items() if value != 0}
    lost = {value: count for value, count in lost.items() if count > 0}
    warnings += [
        f"the foreground box leaves out {count} of {label.counts[value]} voxels of label {value}; they would be lost "
        "where images are cropped to it. Look at the label there."
        for value, count in lost.items()
    ]
    if set(label.counts) <= {0}:
        warnings.append(f"{label.volume.name} holds no label other than 0; look whether it should.")
    if min(image.shape) == 1:
        warnings.append(f"{image.name} is a single slice {image.shape}; 3D networks learn little from it.")
    return CaseStats(
        id=case.id,
        shape=triples.triple([image.shape[axis] for axis in permutation]),
        spacing_mm=triples.spacing([float(spacing[axis]) for axis in permutation]),
        orientation=axis_letters(image.affine),
        oblique_degrees=_oblique_degrees(image.affine),
        crop_box=box,
        cropped_shape=triples.triple([sides[axis] for axis in permutation]),
        crop_reduction=box_volume_reduction(box, image.shape),
        channels=channels,
        label_voxels={value: label.counts.get(value, 0) for value in spec.labels},
        label_voxels_lost=lost,
        problems=tuple(dict.fromkeys(warnings)),
    )


def _oblique_degrees(affine: NDArray[np.float64]) -> float:
    cosines = np.abs(affine[:3, :3] / spacing_of(affine)).max(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines.min(), 0.0, 1.0))))
