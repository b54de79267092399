"""Detailed measurements of each structure of a case for the data report: shape, lesions, intensities.

They take longer than the fingerprint and the planner does not need them, so only the analyze command computes them.
Each file is read once for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.analysis.case_stats import CaseStats, measure_case
from mist_bundle.analysis.shape import Mask, ShapeStats, component_voxels, measure_shape, paired_part
from mist_bundle.dataset.cases import Case
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.dataset.volumes import Volume
from mist_bundle.runtime.numerics.crop import bounding_box, box_slices
from mist_bundle.runtime.numerics.grid import spacing_of

MAX_COMPONENTS = 1000  # of a structure in a case, largest first; smaller components are only counted


@dataclass(frozen=True, kw_only=True, slots=True)
class StructureStats:
    """A structure of a case.

    Attributes:
        shape: None where the structure is absent; of the larger half of a paired organ.
        num_components: number of connected parts; voxels that share a corner are connected.
        component_voxels: their sizes, largest first, at most MAX_COMPONENTS.
        is_paired: whether it has a part on the left and a part on the right, as the kidneys have.
        intensity: channel -> (mean, standard deviation) of the voxels inside.
    """

    shape: ShapeStats | None
    num_components: int
    component_voxels: tuple[int, ...]
    is_paired: bool = False
    intensity: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseDetails:
    """A case's fingerprint, the size of its files, and its structures by name."""

    stats: CaseStats
    file_bytes: int
    structures: dict[str, StructureStats]


def structures_of(
    labels: Sequence[int], label_names: Mapping[int, str], final_classes: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """Name -> label values of every structure: each label but 0, and each class of several labels.

    A class that shares its name with another structure is called "<name> (class)".
    """
    structures: dict[str, tuple[int, ...]] = {}
    for label in labels:
        if label != 0:
            structures[label_names[label]] = (label,)
    for name, members in final_classes.items():
        if len(members) > 1:
            unique_name = f"{name} (class)" if name in structures else name
            structures[unique_name] = tuple(members)
    return structures


def measure_details(case: Case, spec: DatasetSpec) -> CaseDetails:
    """Read every file of a case once and measure everything.

    Raises:
        InputError: files are damaged or do not fit together; see `measure_case`.
    """
    members_of = structures_of(spec.labels, spec.label_names, spec.final_classes)
    structures: dict[str, StructureStats] = {}

    def look(channel: str, image: Volume, label: Volume) -> None:
        box = bounding_box(np.asarray(label.array != 0)) or ((0, 0, 0), (0, 0, 0))
        part = label.array[box_slices(box)]
        intensities = image.array[box_slices(box)]
        for name, members in members_of.items():
            mask = np.isin(part, members)
            if name not in structures:
                structures[name] = _measure_structure(mask, label.affine)
            if mask.any():
                structures[name].intensity[channel] = _mean_and_std(intensities[mask])

    stats = measure_case(case, spec, look)
    file_bytes = 0
    for path in (*case.images.values(), case.label):
        if path is not None:
            file_bytes += path.stat().st_size
    return CaseDetails(stats=stats, file_bytes=file_bytes, structures=structures)


def _measure_structure(mask: Mask, affine: NDArray[np.float64]) -> StructureStats:
    components = component_voxels(mask)
    half = paired_part(mask, affine)
    # both kidneys together are neither long nor flat nor round
    shape = measure_shape(mask if half is None else half, spacing_of(affine).tolist())
    return StructureStats(
        shape=shape,
        num_components=len(components),
        component_voxels=tuple(components[:MAX_COMPONENTS]),
        is_paired=half is not None,
    )


def _mean_and_std(values: NDArray[Any]) -> tuple[float, float]:
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
