"""What people want to know about each structure of a case beyond what the planner needs: shape, lesions, intensities.

These take longer to measure than the fingerprint, so only the analyze command asks for them. The files are read once
for both.
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

MAX_COMPONENTS = 1000  # of one structure in one case that are kept one by one, the largest first


@dataclass(frozen=True, kw_only=True, slots=True)
class StructureStats:
    """One structure of one case.

    Attributes:
        shape: None where the structure is absent; of the larger half of a paired organ.
        num_components: connected parts; voxels that share a corner belong together.
        component_voxels: their sizes, largest first, at most MAX_COMPONENTS.
        is_paired: one part on the left and one on the right, as the kidneys have.
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
    """Name -> label values of everything worth measuring: each label but 0, and each class of several labels.

    A class whose name is that of another structure is called "<name> (class)".
    """
    found: dict[str, tuple[int, ...]] = {label_names[label]: (label,) for label in labels if label != 0}
    for name, members in final_classes.items():
        if len(members) > 1:
            found[f"{name} (class)" if name in found else name] = tuple(members)
    return found


def measure_details(case: Case, spec: DatasetSpec) -> CaseDetails:
    """Read every file of a case once and measure everything.

    Raises:
        InputError: files are damaged or do not fit together; see `measure_case`.
    """
    named = structures_of(spec.labels, spec.label_names, spec.final_classes)
    found: dict[str, StructureStats] = {}

    def look(channel: str, image: Volume, label: Volume) -> None:
        box = bounding_box(np.asarray(label.array != 0)) or ((0, 0, 0), (0, 0, 0))
        part = label.array[box_slices(box)]
        intensities = image.array[box_slices(box)]
        for name, members in named.items():
            mask = np.isin(part, members)
            if name not in found:
                found[name] = _measure_structure(mask, label.affine)
            if mask.any():
                found[name].intensity[channel] = _mean_and_std(intensities[mask])

    stats = measure_case(case, spec, look)
    files = [*case.images.values(), *([case.label] if case.label else [])]
    return CaseDetails(stats=stats, file_bytes=sum(path.stat().st_size for path in files), structures=found)


def _measure_structure(mask: Mask, affine: NDArray[np.float64]) -> StructureStats:
    components = component_voxels(mask)
    half = paired_part(mask, affine)
    return StructureStats(
        # two kidneys as one shape are neither long nor flat nor round
        shape=measure_shape(mask if half is None else half, spacing_of(affine).tolist()),
        num_components=len(components),
        component_voxels=tuple(components[:MAX_COMPONENTS]),
        is_paired=half is not None,
    )


def _mean_and_std(values: NDArray[Any]) -> tuple[float, float]:
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
