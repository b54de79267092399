"""The data report: a dataset in numbers, as the JSON object behind the data page, its Markdown and the terminal output.

It is computed from the fingerprint. Where cases were measured in detail, it also has shapes, lesions and intensities of
each structure. Size classes, levels of imbalance and the choice of quantities follow MIST 2.3's data dump.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mist_bundle.analysis.case_stats import CaseStats, ChannelStats
from mist_bundle.analysis.details import CaseDetails, StructureStats, structures_of
from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.analysis.histogram import Histogram, add_moments
from mist_bundle.analysis.observations import observations
from mist_bundle.dataset.spec import DatasetSpec

FORMAT = 1
AXES = ("left-right", "anterior-posterior", "inferior-superior")
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
STATISTICS = ("mean", "std", "min", "p25", "median", "p75", "max")
# upper bounds in per cent of the image (MIST 2.3); larger structures are "large"
SIZES = {"tiny": 0.1, "small": 1.0, "medium": 5.0}
# ratio of the largest to the smallest label (MIST 2.3)
MODERATE_IMBALANCE = 3.0
SEVERE_IMBALANCE = 10.0

_FAR = 5.0  # tails of a histogram that reach this many times farther than its bulk are cut from its picture
_TINY_PART_VOXELS = 3

# thresholds between the ideal values of ShapeStats.thickness_index (1 sheet, 2 tube, 3 ball)
_SHEET_BELOW = 1.5
_TUBE_BELOW = 2.4
_EXTENDED_BALLS = 20.0  # a straight rod that is 13 times as long as wide
_CASE_INTENSITIES = ("minimum", "low", "mean", "std", "high", "maximum")
_SHAPE_NUMBERS = (
    "linearity",
    "planarity",
    "sphericity",
    "isoperimetric_quotient",
    "thickness_index",
    "inscribed_balls",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """The user's description of a dataset, from dataset.json or from a bundle."""

    task: str
    modality: str
    channel_names: tuple[str, ...]
    labels: tuple[int, ...]
    label_names: dict[int, str]
    final_classes: dict[str, tuple[int, ...]]
    description: str = ""
    licence: str = ""
    reference: str = ""

    @classmethod
    def of_spec(cls, spec: DatasetSpec) -> DataFacts:
        """The description in a dataset.json."""
        return cls(
            task=spec.task,
            modality=spec.modality,
            channel_names=spec.channel_names,
            labels=spec.labels,
            label_names=dict(spec.label_names),
            final_classes=dict(spec.final_classes),
            description=spec.description,
            licence=spec.licence,
            reference=spec.reference,
        )


def make_data_report(facts: DataFacts, fingerprint: Fingerprint, details: Sequence[CaseDetails] = ()) -> dict[str, Any]:
    """Summarise a dataset.

    Args:
        facts: its description.
        fingerprint: the measured cases and the excluded cases.
        details: of the same cases, if they were measured; without them there are no shapes and no lesions.

    Returns:
        Plain JSON without NaN. Shapes and spacings are along left-right, anterior-posterior, inferior-superior.
    """
    cases = fingerprint.cases
    details_by_id = {detail.stats.id: detail for detail in details}
    members = structures_of(facts.labels, facts.label_names, facts.final_classes)
    file_bytes = 0
    for detail in details:
        file_bytes += detail.file_bytes
    rows = []
    for case in cases:
        rows.append(_case(facts.channel_names, members, case, details_by_id.get(case.id)))
    report = asdict(facts)
    report.update(
        format=FORMAT,
        label_names=_text_keys(facts.label_names),
        detailed=bool(details),
        num_cases=len(cases),
        file_bytes=file_bytes if details else None,
        excluded=list(map(asdict, fingerprint.excluded)),
        findings=list(map(asdict, fingerprint.findings(facts.channel_names, facts.modality))),
        **_geometry(cases),
        channels=_channels(facts.channel_names, cases),
        structures=_structures(members, cases, details_by_id),
        sides=_sides(facts, fingerprint),
        imbalance=_imbalance(fingerprint.class_voxels),
        class_voxels=_text_keys(fingerprint.class_voxels),
        cases=rows,
    )
    report["observations"] = observations(report)
    # through text, so that keys and sequences are the same as after reading the file
    plain: dict[str, Any] = json.loads(json.dumps(report, allow_nan=False))
    return plain


def _sides(facts: DataFacts, fingerprint: Fingerprint) -> list[dict[str, Any]]:
    """For each pair of left and right classes: cases in which they lie as named, contrary cases, and in words."""
    sides = []
    for counts in fingerprint.sides(facts.label_names, facts.final_classes):
        sides.append({**asdict(counts), "sentence": counts.sentence})
    return sides


def statistics(values: ArrayLike) -> dict[str, float] | None:
    """Mean, std (ddof 0), min, quartiles and max; None where there are no values."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return None
    low, median, high = np.percentile(array, (25, 50, 75)).tolist()
    numbers = (array.mean(), array.std(), array.min(), low, median, high, array.max())
    return dict(zip(STATISTICS, map(float, numbers), strict=True))


def size_category(percent_of_image: float) -> str:
    """Tiny, small, medium or large, by the share of the image that a structure fills."""
    for name, bound in SIZES.items():
        if percent_of_image < bound:
            return name
    return "large"


def kind_of_shape(thickness_index: float, inscribed_balls: float, linearity: float, planarity: float) -> str:
    """A word for a shape, from the medians of its numbers."""
    if inscribed_balls >= _EXTENDED_BALLS and thickness_index < _SHEET_BELOW:
        return "sheet-like"
    if inscribed_balls >= _EXTENDED_BALLS and thickness_index < _TUBE_BELOW:
        return "tubular"
    if linearity > 0.6:
        return "elongated"
    return "flat" if planarity > 0.6 else "compact"


def _text_keys(values: Mapping[int, Any]) -> dict[str, Any]:
    return dict(zip(map(str, values), values.values(), strict=True))


def _geometry(cases: Sequence[CaseStats]) -> dict[str, Any]:
    shape_rows = []
    spacing_rows = []
    orientations: Counter[str] = Counter()
    oblique_degrees = []
    crop_reduction = []
    for case in cases:
        shape_rows.append(case.shape)
        spacing_rows.append(case.spacing_mm)
        orientations[case.orientation] += 1
        oblique_degrees.append(case.oblique_degrees)
        crop_reduction.append(case.crop_reduction)
    shapes = np.array(shape_rows)
    spacings_mm = np.array(spacing_rows)
    return {
        "shape": _per_axis(shapes),
        "spacing_mm": _per_axis(spacings_mm),
        "extent_mm": _per_axis(shapes * spacings_mm),
        "anisotropy": statistics(spacings_mm.max(axis=1) / spacings_mm.min(axis=1)),
        "orientations": dict(orientations.most_common()),
        "oblique_degrees": statistics(oblique_degrees),
        "crop_reduction": statistics(crop_reduction),
    }


def _per_axis(values: np.ndarray) -> dict[str, Any]:
    """Statistics of each column of (cases, axes)."""
    return dict(zip(AXES, map(statistics, values.T), strict=True))


def _channels(names: Sequence[str], cases: Sequence[CaseStats]) -> dict[str, Any]:
    channels = {}
    for index, name in enumerate(names):
        images = []
        for case in cases:
            image = case.channels[index]
            if image is not None:
                images.append(image)
        channels[name] = _channel(images)
    return channels


def _channel(images: Sequence[ChannelStats]) -> dict[str, Any]:
    """Intensities of a channel over all cases."""
    histograms = []
    moments = []
    for image in images:
        histograms.append(image.histogram)
        moments.append(image.labelled)
    histogram = Histogram.sum(histograms)
    pooled = add_moments(moments)
    labelled: dict[str, float] = {"voxels": pooled.count, "mean": pooled.mean, "std": pooled.std}
    if histogram.counts:
        for percent in PERCENTILES:
            labelled[f"p{percent:02d}"] = histogram.percentile(percent)
    channel: dict[str, Any] = {"labelled": labelled, "labelled_histogram": _coarse(histogram)}
    for key in (*_CASE_INTENSITIES, "nonzero_fraction"):
        channel[key] = statistics([getattr(image, key) for image in images])
    return channel


def _coarse(histogram: Histogram, bins: int = 48) -> dict[str, Any]:
    """Counts in few bins for a picture, over the middle 99 % of the values.

    A long tail is cut: the range then ends twice as far from the median as the 5 or 95 percentile.
    """
    if not histogram.counts:
        return {"edges": [], "counts": [], "beyond": 0.0}
    low, early, median, late, high = map(histogram.percentile, (0.5, 5, 50, 95, 99.5))
    if high - median > _FAR * (late - median):
        high = late + (late - median)
    if median - low > _FAR * (median - early):
        low = early - (median - early)
    if high <= low:  # a constant
        high = low + histogram.step
    edges = np.linspace(low, high, bins + 1)
    offset = 0.0 if histogram.exact else 0.5
    values = (histogram.first + np.arange(len(histogram.counts)) + offset) * histogram.step
    counts, _ = np.histogram(values, bins=edges, weights=histogram.counts)
    return {
        "edges": edges.tolist(),
        "counts": np.rint(counts).astype(int).tolist(),
        "beyond": 1 - float(counts.sum()) / histogram.total,
    }


def _structures(
    members: Mapping[str, Sequence[int]], cases: Sequence[CaseStats], details: Mapping[str, CaseDetails]
) -> dict[str, Any]:
    structures = {}
    for name, labels in members.items():
        stats = _structure(labels, cases)
        present = []
        spacings = []
        for case in cases:
            if case.id in details and _voxels(labels, case):
                present.append(details[case.id].structures[name])
                spacings.append(case.spacing_mm)
        if present:
            stats.update(_structure_details(present, spacings))
        structures[name] = stats
    return structures


def _structure(labels: Sequence[int], cases: Sequence[CaseStats]) -> dict[str, Any]:
    """Presence, size and volume of a structure."""
    total = 0
    lost = 0
    foreground = 0
    num_annotated = 0
    shares = []  # of the image, where the structure is present
    volumes_ml = []
    for case in cases:
        voxels = _voxels(labels, case)
        total += voxels
        num_annotated += set(labels).isdisjoint(case.unlabelled)
        foreground += sum(case.label_voxels.values()) - case.label_voxels.get(0, 0)
        for label in labels:
            lost += case.label_voxels_lost.get(label, 0)
        if voxels:
            shares.append(100 * voxels / case.num_voxels)
            volumes_ml.append(_millilitres(voxels, case))
    return {
        "labels": list(labels),
        "present_in": len(shares),
        "annotated_in": num_annotated,
        "presence_percent": 100 * len(shares) / max(1, num_annotated),
        "voxels": total,
        "voxels_outside_crop": lost,
        "percent_of_foreground": 100 * total / foreground if foreground else 0.0,
        "percent_of_image": statistics(shares),
        "size": size_category(float(np.mean(shares))) if shares else "absent",
        "volume_ml": statistics(volumes_ml),
    }


def _structure_details(
    structures: Sequence[StructureStats], spacings_mm: Sequence[tuple[float, float, float]]
) -> dict[str, Any]:
    """Shape, parts and intensities of a structure over the cases in which it is present."""
    shape_numbers: dict[str, list[float]] = defaultdict(list)
    num_components = []
    component_mm3: list[float] = []
    num_paired = 0
    num_tiny = 0
    for structure, spacing_mm in zip(structures, spacings_mm, strict=True):
        num_components.append(structure.num_components)
        num_paired += structure.is_paired
        voxels = np.array(structure.component_voxels)
        num_tiny += int((voxels <= _TINY_PART_VOXELS).sum())
        component_mm3 += (voxels * math.prod(spacing_mm)).tolist()
        if structure.shape is not None:
            for key in _SHAPE_NUMBERS:
                shape_numbers[key].append(getattr(structure.shape, key))
    shape = dict(zip(shape_numbers, map(statistics, shape_numbers.values()), strict=True))
    medians = dict(zip(shape_numbers, map(np.median, shape_numbers.values()), strict=True))
    return {
        "shape": shape,
        "kind": kind_of_shape(
            medians["thickness_index"], medians["inscribed_balls"], medians["linearity"], medians["planarity"]
        ),
        "is_paired": 2 * num_paired > len(structures),
        "components": statistics(num_components),
        "component_mm3": statistics(component_mm3),
        "tiny_components": num_tiny,
        "intensity": _structure_intensity(structures),
    }


def _structure_intensity(structures: Sequence[StructureStats]) -> dict[str, Any]:
    """Mean of the mean and of the standard deviation in each channel, over the cases that have the channel."""
    values: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for structure in structures:
        for channel, mean_and_std in structure.intensity.items():
            values[channel].append(mean_and_std)
    intensity = {}
    for channel, pairs in values.items():
        mean, std = np.mean(pairs, axis=0)
        intensity[channel] = {"mean": float(mean), "std": float(std)}
    return intensity


def _imbalance(class_voxels: Mapping[int, int]) -> dict[str, Any]:
    counts = [count for label, count in class_voxels.items() if label and count]
    if not counts:
        return {"largest_to_smallest": 1.0, "level": "none", "background_to_foreground": None}
    ratio = max(counts) / min(counts)
    level = "none"
    if ratio > SEVERE_IMBALANCE:
        level = "severe"
    elif ratio > MODERATE_IMBALANCE:
        level = "moderate"
    return {
        "largest_to_smallest": ratio,
        "level": level,
        "background_to_foreground": class_voxels.get(0, 0) / sum(counts),
    }


def _case(
    channel_names: Sequence[str], members: Mapping[str, Sequence[int]], case: CaseStats, details: CaseDetails | None
) -> dict[str, Any]:
    structures: dict[str, Any] = {}
    for name, labels in members.items():
        voxels = _voxels(labels, case)
        structures[name] = {"voxels": voxels, "volume_ml": _millilitres(voxels, case)}
        if details is not None:
            structures[name] |= details.structures[name].to_json()
    channels = {}
    for name, channel in zip(channel_names, case.channels, strict=True):
        if channel is not None:
            channels[name] = {key: getattr(channel, key) for key in _CASE_INTENSITIES}
    return {
        "id": case.id,
        "shape": list(case.shape),
        "spacing_mm": list(case.spacing_mm),
        "orientation": case.orientation,
        "oblique_degrees": case.oblique_degrees,
        "crop_reduction": case.crop_reduction,
        "file_bytes": None if details is None else details.file_bytes,
        "channels": channels,
        "structures": structures,
        "problems": list(case.problems),
    }


def _voxels(labels: Sequence[int], case: CaseStats) -> int:
    return sum(case.label_voxels.get(label, 0) for label in labels)


def _millilitres(voxels: int, case: CaseStats) -> float:
    return voxels * math.prod(case.spacing_mm) / 1000
