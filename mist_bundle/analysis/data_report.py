"""A data set in numbers for people: one JSON object that the data page, the Markdown and the terminal are made from.

It rests on the fingerprint; where cases were measured in detail, shapes, lesions and intensities of each structure are
added. Size classes, imbalance levels and the kinds of quantities follow MIST 2.3's data dump.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mist_bundle.analysis.case_stats import CaseStats
from mist_bundle.analysis.details import CaseDetails, structures_of
from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.analysis.histogram import Histogram, add_moments
from mist_bundle.analysis.observations import observations
from mist_bundle.dataset.spec import DatasetSpec

FORMAT = 1
AXES = ("left-right", "anterior-posterior", "inferior-superior")
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
TINY, SMALL, MEDIUM = 0.1, 1.0, 5.0  # per cent of the image (MIST 2.3)
MODERATE_IMBALANCE, SEVERE_IMBALANCE = 3.0, 10.0  # (MIST 2.3)

_FAR = 5.0

# thresholds between the ideal values of ShapeStats.thickness_index (1 sheet, 2 tube, 3 ball)
_SHEET_BELOW, _TUBE_BELOW = 1.5, 2.4
_EXTENDED_BALLS = 20.0  # those of a straight rod 13 times as long as it is wide
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
    """What the user says about a data set; from dataset.json or from a plan."""

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
        """The facts of a dataset.json."""
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

    @classmethod
    def of_plan(cls, plan: Mapping[str, Any]) -> DataFacts:
        """The facts that a bundle's plan.json keeps."""
        return cls(
            task=plan["task"],
            modality=plan["modality"],
            channel_names=tuple(plan["channel_names"]),
            labels=tuple(plan["labels"]),
            label_names=dict(zip(plan["labels"], plan["label_names"], strict=True)),
            final_classes={name: tuple(labels) for name, labels in plan["final_classes"].items()},
        )


def make_data_report(facts: DataFacts, fingerprint: Fingerprint, details: Sequence[CaseDetails] = ()) -> dict[str, Any]:
    """Summarise a data set.

    Args:
        facts: what the user said.
        fingerprint: the measured cases and the excluded ones.
        details: of the same cases, where they were measured; without them there are no shapes and no lesions.

    Returns:
        Plain JSON without NaN. Shapes and spacings are along left-right, anterior-posterior, inferior-superior.
    """
    cases = fingerprint.cases
    by_id = {detail.stats.id: detail for detail in details}
    named = structures_of(facts.labels, facts.label_names, facts.final_classes)
    report = {
        "format": FORMAT,
        **{key: value for key, value in asdict(facts).items() if key != "label_names"},
        "label_names": {str(label): name for label, name in facts.label_names.items()},
        "detailed": bool(details),
        "num_cases": len(cases),
        "file_bytes": sum(detail.file_bytes for detail in details) if details else None,
        "excluded": [asdict(problem) for problem in fingerprint.excluded],
        "findings": [asdict(problem) for problem in fingerprint.findings(facts.channel_names, facts.modality)],
        "shape": _per_axis([case.shape for case in cases]),
        "spacing_mm": _per_axis([case.spacing_mm for case in cases]),
        "extent_mm": _per_axis(
            [[n * size for n, size in zip(case.shape, case.spacing_mm, strict=True)] for case in cases]
        ),
        "anisotropy": statistics([max(case.spacing_mm) / min(case.spacing_mm) for case in cases]),
        "orientations": dict(Counter(case.orientation for case in cases).most_common()),
        "oblique_degrees": statistics([case.oblique_degrees for case in cases]),
        "crop_reduction": statistics([case.crop_reduction for case in cases]),
        "channels": _channels(facts.channel_names, cases),
        "structures": {name: _structure(name, members, cases, by_id) for name, members in named.items()},
        "imbalance": _imbalance(facts, cases),
        "class_voxels": {str(label): count for label, count in fingerprint.class_voxels.items()},
        "cases": [_case(facts.channel_names, named, case, by_id.get(case.id)) for case in cases],
    }
    plain: dict[str, Any] = json.loads(json.dumps({**report, "observations": observations(report)}, allow_nan=False))
    return plain


def statistics(values: Sequence[float]) -> dict[str, float] | None:
    """Mean, std (ddof 0), min, quartiles and max; None where there are no values."""
    if not len(values):
        return None
    array = np.asarray(values, dtype=np.float64)
    low, median, high = np.percentile(array, (25, 50, 75)).tolist()
    numbers = (array.mean(), array.std(), array.min(), low, median, high, array.max())
    return dict(zip(("mean", "std", "min", "p25", "median", "p75", "max"), map(float, numbers), strict=True))


def size_category(percent_of_image: float) -> str:
    """Tiny, small, medium or large, by the share of the image that a structure fills."""
    bounds = ((TINY, "tiny"), (SMALL, "small"), (MEDIUM, "medium"))
    return next((name for bound, name in bounds if percent_of_image < bound), "large")


def kind_of_shape(thickness_index: float, inscribed_balls: float, linearity: float, planarity: float) -> str:
    """A word for a shape, from the medians of its numbers."""
    if inscribed_balls >= _EXTENDED_BALLS and thickness_index < _SHEET_BELOW:
        return "sheet-like"
    if inscribed_balls >= _EXTENDED_BALLS and thickness_index < _TUBE_BELOW:
        return "tubular"
    if linearity > 0.6:
        return "elongated"
    return "flat" if planarity > 0.6 else "compact"


def _per_axis(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    return {axis: statistics([row[index] for row in rows]) for index, axis in enumerate(AXES)}


def _channels(names: Sequence[str], cases: Sequence[CaseStats]) -> dict[str, Any]:
    found = {}
    for index, name in enumerate(names):
        stats = [case.channels[index] for case in cases]
        histogram = Histogram.sum(one.histogram for one in stats)
        moments = add_moments(one.labelled for one in stats)
        labelled = {f"p{percent:02d}": histogram.percentile(percent) for percent in PERCENTILES if histogram.counts}
        found[name] = {
            "labelled": {"voxels": moments.count, "mean": moments.mean, "std": moments.std, **labelled},
            "labelled_histogram": _coarse(histogram),
            **{
                key: statistics([getattr(one, key) for one in stats])
                for key in ("minimum", "low", "mean", "std", "high", "maximum", "nonzero_fraction")
            },
        }
    return found


def _coarse(histogram: Histogram, bins: int = 48) -> dict[str, Any]:
    """Counts in `bins` bins for a picture: the middle 99 %, or what the middle 90 % suggest if a few lie far away."""
    if not histogram.counts:
        return {"edges": [], "counts": [], "beyond": 0.0}
    low, early, median, late, high = (histogram.percentile(percent) for percent in (0.5, 5, 50, 95, 99.5))
    if high - median > _FAR * (late - median):
        high = late + (late - median)
    if median - low > _FAR * (median - early):
        low = early - (median - early)
    edges = np.linspace(low, high if high > low else low + histogram.step, bins + 1)
    places = (histogram.first + np.arange(len(histogram.counts)) + (0.0 if histogram.exact else 0.5)) * histogram.step
    counts, _ = np.histogram(places, bins=edges, weights=histogram.counts)
    return {
        "edges": edges.tolist(),
        "counts": np.rint(counts).astype(int).tolist(),
        "beyond": 1 - float(counts.sum()) / histogram.total,
    }


def _structure(
    name: str, members: Sequence[int], cases: Sequence[CaseStats], details: Mapping[str, CaseDetails]
) -> dict[str, Any]:
    voxels = {case.id: sum(case.label_voxels.get(label, 0) for label in members) for case in cases}
    present = [case for case in cases if voxels[case.id]]
    share = [100 * voxels[case.id] / case.num_voxels for case in present]
    foreground = sum(_foreground(case) for case in cases)
    lost = sum(count for case in cases for label, count in case.label_voxels_lost.items() if label in members)
    total = sum(voxels.values())
    stats: dict[str, Any] = {
        "labels": list(members),
        "present_in": len(present),
        "presence_percent": 100 * len(present) / len(cases),
        "voxels": total,
        "voxels_outside_crop": lost,
        "percent_of_foreground": 100 * total / foreground if foreground else 0.0,
        "percent_of_image": statistics(share),
        "size": size_category(float(np.mean(share))) if share else "absent",
        "volume_ml": statistics([_millilitres(voxels[case.id], case) for case in present]),
    }
    measured = [details[case.id].structures[name] for case in present if case.id in details]
    if not measured:
        return stats
    shapes = [one.shape for one in measured if one.shape is not None]
    medians = {key: float(np.median([getattr(shape, key) for shape in shapes])) for key in _SHAPE_NUMBERS}
    sizes = [
        size * math.prod(case.spacing_mm)
        for case, one in zip(present, measured, strict=True)
        for size in one.component_voxels
    ]
    words = ("thickness_index", "inscribed_balls", "linearity", "planarity")
    return {
        **stats,
        "shape": {key: statistics([getattr(shape, key) for shape in shapes]) for key in _SHAPE_NUMBERS},
        "kind": kind_of_shape(*(medians[word] for word in words)),
        "is_paired": 2 * sum(one.is_paired for one in measured) > len(measured),
        "components": statistics([one.num_components for one in measured]),
        "component_mm3": statistics(sizes),
        "tiny_components": sum(size <= 3 for one in measured for size in one.component_voxels),
        "intensity": _structure_intensity(measured),
    }


def _structure_intensity(measured: Sequence[Any]) -> dict[str, Any]:
    channels = measured[0].intensity
    return {
        channel: {
            "mean": float(np.mean([one.intensity[channel][0] for one in measured])),
            "std": float(np.mean([one.intensity[channel][1] for one in measured])),
        }
        for channel in channels
    }


def _imbalance(facts: DataFacts, cases: Sequence[CaseStats]) -> dict[str, Any]:
    voxels = {label: sum(case.label_voxels.get(label, 0) for case in cases) for label in facts.labels}
    counts = [count for label, count in voxels.items() if label and count]
    ratio = max(counts) / min(counts) if counts else 1.0
    level = "severe" if ratio > SEVERE_IMBALANCE else "moderate" if ratio > MODERATE_IMBALANCE else "none"
    return {
        "largest_to_smallest": ratio,
        "level": level,
        "background_to_foreground": voxels.get(0, 0) / sum(counts) if counts else None,
    }


def _case(
    channels: Sequence[str], named: Mapping[str, Sequence[int]], case: CaseStats, details: CaseDetails | None
) -> dict[str, Any]:
    structures: dict[str, Any] = {}
    for name, members in named.items():
        voxels = sum(case.label_voxels.get(label, 0) for label in members)
        structures[name] = {"voxels": voxels, "volume_ml": _millilitres(voxels, case)}
        if details is not None:
            structures[name] |= details.structures[name].to_json()
    return {
        "id": case.id,
        "shape": list(case.shape),
        "spacing_mm": list(case.spacing_mm),
        "orientation": case.orientation,
        "oblique_degrees": case.oblique_degrees,
        "crop_reduction": case.crop_reduction,
        "file_bytes": None if details is None else details.file_bytes,
        "channels": {
            name: {key: getattr(one, key) for key in ("minimum", "low", "mean", "std", "high", "maximum")}
            for name, one in zip(channels, case.channels, strict=True)
        },
        "structures": structures,
        "problems": list(case.problems),
    }


def _foreground(case: CaseStats) -> int:
    return sum(count for label, count in case.label_voxels.items() if label)


def _millilitres(voxels: int, case: CaseStats) -> float:
    return voxels * math.prod(case.spacing_mm) / 1000
