"""The measurements of a case that the planner needs. Each file is read once.

Shapes and spacings are along L, P, S, the axis order of training, whatever the order in the files; only the crop box is
in the file's own voxel indices. A case whose files do not fit together is refused with all of its problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.analysis.histogram import Histogram, Moments
from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.integrity import check_headers, check_label_values, check_voxels, count_labels
from mist_bundle.dataset.sides import named_classes, right_of_left, side_pairs
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem, problems_of
from mist_bundle.runtime.numerics import triples
from mist_bundle.runtime.numerics.crop import Box, box_slices, box_volume_reduction, foreground_box
from mist_bundle.runtime.numerics.digest import scan_digest
from mist_bundle.runtime.numerics.grid import axis_letters, orientation_to, spacing_of
from mist_bundle.runtime.numerics.labels import as_labels

# CT has a bin for each Hounsfield unit; elsewhere a thousandth of the range suffices, and the files stay small
_MAX_BINS_CT = 1 << 16
_MAX_BINS = 1024

_MAX_SAMPLE = 1 << 20  # voxels behind the figures of whole images, which no decision depends on

_WINDOW_PERCENTILES = (0.5, 99.5)

# called with (channel, image, label) of a case whose files fit together
Look = Callable[[str, Volume, Volume], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelStats:
    """Intensities of a channel of a case.

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
        digest: of all voxel values, equal for copies of the same scan; "" where the image is constant.
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
    """Measurements of a case.

    Attributes:
        id: the case.
        shape: voxels along L, P, S.
        spacing_mm: voxel size along L, P, S.
        orientation: directions of the file's own axes, such as "RAS".
        oblique_degrees: largest angle between an axis of the file and the nearest anatomical axis.
        crop_box: half-open foreground box ((x0, y0, z0), (x1, y1, z1)) in the file's own voxel indices.
        cropped_shape: size of that box along L, P, S.
        crop_reduction: share of the voxels that cropping removes.
        channels: intensities of each channel; None for optional channels that the case lacks.
        label_voxels: label value -> number of voxels, for all labels of the dataset.
        label_voxels_lost: label value -> voxels outside the crop box, for labels that lose any.
        problems: irregularities that do not prevent the use of the case.
        unlabelled: labels that were not annotated in this case; they have no voxels.
        right_of_left_mm: structure -> how far its right class lies to the patient's right of its left class; only for
            structures whose classes differ by their side and are both there.
    """

    id: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    oblique_degrees: float
    crop_box: Box
    cropped_shape: tuple[int, int, int]
    crop_reduction: float
    channels: tuple[ChannelStats | None, ...]
    label_voxels: dict[int, int]
    label_voxels_lost: dict[int, int]
    problems: tuple[str, ...] = ()
    unlabelled: tuple[int, ...] = ()
    right_of_left_mm: dict[str, float] = field(default_factory=dict)

    @property
    def measured_channels(self) -> tuple[ChannelStats, ...]:
        """Intensities of the channels that the case has."""
        return tuple(channel for channel in self.channels if channel is not None)

    @property
    def nonzero_fraction(self) -> tuple[float, ...]:
        """Share of voxels that are not 0 in the whole image, for each channel that the case has."""
        return tuple(channel.nonzero_fraction for channel in self.measured_channels)

    @property
    def nonzero_fraction_cropped(self) -> tuple[float, ...]:
        """Share of voxels that are not 0 inside the crop box, for each channel that the case has."""
        return tuple(channel.nonzero_fraction_cropped for channel in self.measured_channels)

    @property
    def num_voxels(self) -> int:
        """Voxels of the whole image."""
        return math.prod(self.shape)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        content = asdict(self)
        for plain, channel in zip(content["channels"], self.channels, strict=True):
            if channel is not None:
                plain["histogram"] = channel.histogram.to_json()
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> CaseStats:
        """The inverse of `to_json`, also after the content was written to a file and read again."""
        channels: list[ChannelStats | None] = []
        for channel in content["channels"]:
            if channel is None:
                channels.append(None)
                continue
            labelled = Moments(**channel["labelled"])
            histogram = Histogram.from_json(channel["histogram"])
            channels.append(ChannelStats(**{**channel, "labelled": labelled, "histogram": histogram}))
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
            channels=tuple(channels),
            label_voxels=_whole_keys(content["label_voxels"]),
            label_voxels_lost=_whole_keys(content["label_voxels_lost"]),
            problems=tuple(content["problems"]),
            unlabelled=tuple(content.get("unlabelled", ())),
            right_of_left_mm=dict(content.get("right_of_left_mm", {})),
        )


def _whole_keys(counts: Mapping[Any, int]) -> dict[int, int]:
    """JSON turns whole numbers that are keys into text."""
    return dict(zip(map(int, counts), counts.values(), strict=True))


def measure_case(case: Case, spec: DatasetSpec, look: Look | None = None) -> CaseStats:
    """Read every file of a case once, check that they fit together, and measure them.

    Args:
        case: a training case, with a label.
        spec: the dataset, for its labels and modality.
        look: called with each channel's volume while it is in memory, for further measurements.

    Raises:
        InputError: files are damaged, lie on different grids, or hold NaN or unknown labels; all problems at once.
    """
    problems: list[Problem] = []
    label = _read_label(case, spec, problems)
    max_bins = _MAX_BINS_CT if spec.modality == "ct" else _MAX_BINS
    first: Volume | None = None
    box: Box = ((0, 0, 0), (1, 1, 1))
    channels: list[ChannelStats] = []
    warnings = [*label.volume.warnings, *label.warnings] if label else []
    for name, path in case.images.items():
        volume = _read(path, problems)
        if volume is None:
            continue
        findings = check_voxels(volume)
        if first is None:
            first = volume
            if label:
                label = label.on_grid_of(volume)
                findings += check_headers(volume, label.volume)
            if not findings:
                box = _foreground_box(_intensities(volume))
        else:
            volume = volume.on_grid_of(first)
            findings += check_headers(first, volume)
        problems += problems_of(name, findings)
        warnings += volume.warnings
        if not problems and label:
            channels.append(_measure_channel(volume, label.foreground, box, max_bins))
            warnings += _constant_image(volume, channels[-1])
            if look is not None:
                look(name, volume, label.volume)
    if label and not problems:
        problems += _copied_mask(label, case, channels)
        warnings += _copied_channels(case, channels)
    if problems or first is None or label is None:
        raise InputError(problems or [Problem(case.id, "has no image.")])
    return _assemble(case, spec, first, label, box, tuple(channels), warnings)


def _constant_image(volume: Volume, channel: ChannelStats) -> list[str]:
    if channel.minimum < channel.maximum:
        return []
    level = f"{channel.minimum:g} everywhere"
    return [f"{volume.name} is constant ({level}); look at it, or leave out the case."]


def _copied_mask(label: _Label, case: Case, channels: Sequence[ChannelStats]) -> list[Problem]:
    """Images that are copies of the mask, which would train a perfect and useless model."""
    digest = scan_digest(label.volume.array, label.volume.affine)
    problems = []
    for (name, path), channel in zip(case.images.items(), channels, strict=True):
        if digest and channel.digest == digest:
            message = f"{path.name} holds the voxels of the mask {label.volume.name}. Put the image in its place."
            problems.append(Problem(name, message))
    return problems


def _copied_channels(case: Case, channels: Sequence[ChannelStats]) -> list[str]:
    first_with: dict[str, Path] = {}
    warnings = []
    for path, channel in zip(case.images.values(), channels, strict=True):
        earlier = first_with.setdefault(channel.digest, path)
        if channel.digest and earlier is not path:
            warnings.append(f"{path.name} is a copy of {earlier.name}; put the image of its own channel there.")
    return warnings


@dataclass(frozen=True, kw_only=True, slots=True)
class _Label:
    volume: Volume
    foreground: NDArray[np.bool_]
    counts: dict[int, int]
    warnings: tuple[str, ...] = ()

    def on_grid_of(self, image: Volume) -> _Label:
        """The label in the voxel order of an image on the same grid."""
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
    problems += problems_of("mask", check_label_values(counts, known, volume.name))
    volume = replace(volume, array=as_labels(volume.array))
    foreground = volume.array != 0
    if spec.ignore_label is not None:  # the true class of these voxels is unknown
        foreground &= volume.array != spec.ignore_label
    label_counts = {}
    warnings = []
    for value, count in counts.items():
        if value in case.unlabelled:
            foreground &= volume.array != value
            warnings.append(
                f"{volume.name} holds {count} voxels of label {value}, which was not annotated in this case; they "
                "count as unknown. Correct annotated_labels if they are right."
            )
        elif isinstance(value, int) and value != spec.ignore_label:
            label_counts[value] = count
    return _Label(volume=volume, foreground=foreground, counts=label_counts, warnings=tuple(warnings))


def _intensities(volume: Volume) -> NDArray[Any]:
    """The voxels as training sees them: in float32, or as stored where float32 holds the same numbers."""
    if np.can_cast(volume.array.dtype, np.float32):
        return volume.array
    return volume.array.astype(np.float32)


def _foreground_box(image: NDArray[Any]) -> Box:
    # NIfTI lays out x fastest; the transposed view is contiguous for numpy, which saves copies of the whole image
    start, stop = foreground_box(image.T)
    return triples.triple(start[::-1]), triples.triple(stop[::-1])


def _measure_channel(volume: Volume, foreground: NDArray[np.bool_], box: Box, max_bins: int) -> ChannelStats:
    image = _intensities(volume)
    labelled = image.T[foreground.T].astype(np.float32, copy=False)  # transposed for speed, see _foreground_box
    cropped = image[box_slices(box)]
    every = max(1, math.ceil(image.size / _MAX_SAMPLE))
    sample = image.ravel(order="K")[::every].astype(np.float32, copy=False)
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
        digest=scan_digest(volume.array, volume.affine),
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
    axes = list(permutation)
    measured = dict(zip(case.images, channels, strict=True))
    start, stop = box
    cropped_shape = np.subtract(stop, start)
    lost = _lost_voxels(label, box)
    for value, count in lost.items():
        warnings.append(
            f"the foreground box leaves out {count} of {label.counts[value]} voxels of label {value}; they would be "
            "lost where images are cropped to it. Look at the label there."
        )
    if set(label.counts) <= {0}:
        warnings.append(f"{label.volume.name} holds no label other than 0; check whether it should.")
    pairs = side_pairs(named_classes(spec.label_names, spec.final_classes))
    sides = right_of_left(label.volume.array, label.volume.affine, pairs)
    for pair in pairs:
        finding = pair.finding(sides.get(pair.structure, 0.0), label.volume.name)
        warnings += [finding] if finding else []
    if min(image.shape) == 1:
        warnings.append(f"{image.name} is a single slice {image.shape}; 3D networks learn little from it.")
    return CaseStats(
        id=case.id,
        shape=triples.triple(np.array(image.shape)[axes].tolist()),
        spacing_mm=triples.spacing(spacing_of(image.affine)[axes].tolist()),
        orientation=axis_letters(image.affine),
        oblique_degrees=_oblique_degrees(image.affine),
        crop_box=box,
        cropped_shape=triples.triple(cropped_shape[axes].tolist()),
        crop_reduction=box_volume_reduction(box, image.shape),
        channels=tuple(map(measured.get, spec.images)),
        label_voxels={value: label.counts.get(value, 0) for value in spec.labels},
        label_voxels_lost=lost,
        problems=tuple(dict.fromkeys(warnings)),
        unlabelled=case.unlabelled,
        right_of_left_mm=sides,
    )


def _lost_voxels(label: _Label, box: Box) -> dict[int, int]:
    """Label -> voxels outside the box, for labels that have any there."""
    kept = count_labels(label.volume.array[box_slices(box)])
    lost = {}
    for value, count in label.counts.items():
        if value != 0 and count > kept.get(value, 0):
            lost[value] = count - kept.get(value, 0)
    return lost


def _oblique_degrees(affine: NDArray[np.float64]) -> float:
    cosines = np.abs(affine[:3, :3] / spacing_of(affine)).max(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines.min(), 0.0, 1.0))))
