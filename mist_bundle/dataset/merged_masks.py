"""Merging mask files, one for each structure, into a label map on the grid of the image.

Structures may overlap (a tumour within the liver). Either a stated order decides which of them a shared voxel gets, or
each combination of structures becomes a label of its own and every structure a class made of the labels that hold it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.integrity import check_headers, count_labels
from mist_bundle.dataset.names import default_label_name
from mist_bundle.dataset.volumes import Volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.wording import list_names

LAST, REGIONS = "last", "regions"
OVERLAPS = (LAST, REGIONS)

Members = tuple[str, ...]  # the structures that share voxels, in the order of the structures


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedMasks:
    """The masks of a case in a single array.

    Attributes:
        codes: (X, Y, Z) numbers in the storage order of the image; 0 is outside all structures. The number of a
            structure alone is its place in the order, from 1; combinations have larger numbers of this case only.
        members: code -> structures that share its voxels.
        voxels: code -> number of voxels; no code is listed without one.
    """

    codes: NDArray[np.int32]
    members: dict[int, Members]
    voxels: dict[int, int]

    def overlaps(self) -> dict[tuple[str, str], int]:
        """Voxels that each pair of structures shares; only pairs that share any."""
        shared: dict[tuple[str, str], int] = {}
        for code, structures in self.members.items():
            for pair in itertools.combinations(structures, 2):
                shared[pair] = shared.get(pair, 0) + self.voxels[code]
        return shared


def merge_masks(image: Volume, masks: Mapping[str, Volume], structures: Sequence[str]) -> MergedMasks:
    """Merge masks on the grid of an image.

    Args:
        image: whose grid the masks share; they may be stored in another order of axes.
        masks: structure -> mask; a structure without a mask is nowhere.
        structures: all structures, in their order.

    Raises:
        InputError: a mask lies on another grid, or holds more than a single value besides 0; all problems at once.
    """
    _check_masks(image, masks)
    codes = np.zeros(image.shape, np.int32)
    members: dict[int, Members] = {0: ()}
    code_of: dict[Members, int] = {}
    for number, structure in enumerate(structures, start=1):
        members[number], code_of[(structure,)] = (structure,), number
    for structure in structures:
        if structure not in masks:
            continue
        inside = masks[structure].on_grid_of(image).array != 0
        beneath = codes[inside]
        distinct, positions = np.unique(beneath, return_inverse=True)
        joined_codes = []
        for code in distinct.tolist():
            joined = (*members[code], structure)
            joined_code = code_of.setdefault(joined, len(members))
            members[joined_code] = joined
            joined_codes.append(joined_code)
        codes[inside] = np.array(joined_codes, np.int32)[positions.reshape(-1)]
    counts = np.bincount(codes.ravel(order="K"), minlength=len(members))
    voxels = {}
    for code in members:
        if code and counts[code]:
            voxels[code] = int(counts[code])
    return MergedMasks(codes=codes, members={code: members[code] for code in voxels}, voxels=voxels)


def _check_masks(image: Volume, masks: Mapping[str, Volume]) -> None:
    problems = []
    for structure, mask in masks.items():
        for finding in check_headers(image, mask.on_grid_of(image)):
            problems.append(Problem(f'"{structure}"', finding))
        inside = [value for value in count_labels(mask.array) if value != 0]
        if len(inside) > 1:
            values = list_names([f"{value:g}" for value in inside])
            message = f"{mask.name} holds the values {values}; a mask of one structure has 0 and a single other."
            problems.append(Problem(f'"{structure}"', message))
        elif not np.isfinite(inside).all():
            problems.append(Problem(f'"{structure}"', f"{mask.name} holds NaN or infinite values."))
    if problems:
        raise InputError(problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelScheme:
    """The labels that stand for structures and their combinations, the same in all cases.

    Attributes:
        label_names: label -> name, the background included.
        final_classes: structure -> its labels.
        label_of: structures that share voxels -> the label of these voxels.
    """

    label_names: dict[int, str]
    final_classes: dict[str, tuple[int, ...]]
    label_of: dict[Members, int]

    def lookup(self, members: Mapping[int, Members]) -> NDArray[np.int64]:
        """The label of each code of a case, as an array that codes index."""
        labels = np.zeros(1 + max(members, default=0), np.int64)
        for code, structures in members.items():
            labels[code] = self.label_of[structures]
        return labels


def label_scheme(structures: Sequence[str], combinations: Iterable[Members], overlaps: str) -> LabelScheme:
    """Decide what label each combination of structures gets.

    Args:
        structures: all structures, in their order.
        combinations: those that occur in some case, single structures included.
        overlaps: "last": of the structures that share a voxel the last in the order gets it. "regions": each
            combination that occurs is a label, and the class of a structure consists of all labels that hold it.
    """
    place = {structure: number for number, structure in enumerate(structures, start=1)}
    distinct = set(combinations)
    label_names = {0: default_label_name(0)}
    label_of: dict[Members, int] = {}
    if overlaps == LAST:
        for structure, number in place.items():
            label_names[number] = structure
        for members in distinct:
            label_of[members] = place[members[-1]]
        return LabelScheme(
            label_names=label_names,
            final_classes={structure: (number,) for structure, number in place.items()},
            label_of=label_of,
        )
    # structures alone come first, so that without overlaps the labels are the same as with "last"
    distinct |= {(structure,) for structure in structures if not any(structure in members for members in distinct)}
    final_classes: dict[str, tuple[int, ...]] = {structure: () for structure in structures}
    for label, members in enumerate(sorted(distinct, key=lambda group: (len(group), [*map(place.get, group)])), 1):
        label_names[label] = " + ".join(members)
        label_of[members] = label
        for structure in members:
            final_classes[structure] = (*final_classes[structure], label)
    return LabelScheme(label_names=label_names, final_classes=final_classes, label_of=label_of)
