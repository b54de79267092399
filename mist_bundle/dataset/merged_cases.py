"""The cases of a merged dataset: their new ids, and their files with the new labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mist_bundle.dataset.cases import Case, Split, find_cases
from mist_bundle.dataset.layout import MASK_NAME, place_file, save_nifti
from mist_bundle.dataset.merged_sources import Source
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.runtime.numerics.labels import as_labels
from mist_bundle.runtime.numerics.restore import label_dtype
from mist_bundle.runtime.wording import list_names

SPLITS: tuple[Split, ...] = ("train", "test")


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedCase:
    """A case and where it goes.

    Attributes:
        id: in the merged dataset.
        split: "train" or "test".
        case: its files.
        source: where it comes from.
    """

    id: str
    split: str
    case: Case
    source: Source


def find_merged(sources: Sequence[Source]) -> tuple[list[MergedCase], list[Problem], list[Problem]]:
    """All cases with their new ids, a problem for each that cannot be used, and warnings."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    merged: list[MergedCase] = []
    refused: list[Problem] = []
    for split in SPLITS:
        found: list[tuple[Source, Case]] = []
        for source in sources:
            if split == "test" and source.spec.test_dir is None:
                continue
            with Collecting(refused):
                listed = find_cases(source.spec, split)
                problems += [Problem(f"{source.name}: {problem.path}", problem.message) for problem in listed.problems]
                warnings += [Problem(f"{source.name}: {one.path}", one.message) for one in listed.warnings]
                found += [(source, case) for case in listed.cases]
        ids = _new_ids(found)
        for case_id, (source, case) in zip(ids, found, strict=True):
            merged.append(MergedCase(id=case_id, split=split, case=case, source=source))
    if refused:
        raise InputError(refused)
    return merged, problems, list(dict.fromkeys(warnings))


def _new_ids(found: Sequence[tuple[Source, Case]]) -> list[str]:
    """The ids of the cases; those that several sources have begin with the name of the source.

    Raises:
        InputError: two cases have the same id nevertheless.
    """
    counts = Counter(case.id.casefold() for _, case in found)
    ids = []
    for source, case in found:
        ids.append(case.id if counts[case.id.casefold()] == 1 else f"{source.name}_{case.id}")
    if len({name.casefold() for name in ids}) < len(ids):  # a new id is that of another case
        ids = [f"{source.name}_{case.id}" for source, case in found]
    holders: dict[str, list[str]] = {}
    for case_id, (source, case) in zip(ids, found, strict=True):
        holders.setdefault(case_id.casefold(), []).append(f"{case.id} of {source.name}")
    problems = []
    for case_id, cases in holders.items():
        if len(cases) > 1:
            message = f"would be the id of {list_names(cases)}. Give the datasets other names with --names."
            problems.append(Problem(case_id, message))
    if problems:
        raise InputError(problems)
    return ids


def place_merged(merged: MergedCase, folder: Path, copy: bool) -> tuple[str, str]:
    """Write the folder of a case; returns its split and its id."""
    target = folder / merged.split / merged.id
    label = merged.case.label
    labels = merged.source.labels
    volume = None if label is None else _read_label(label, merged.source)  # before anything is written
    for channel, path in merged.case.images.items():
        place_file(path, target, channel, copy=copy)
    if label is None or volume is None:
        return merged.split, merged.id
    if all(label_here == label_there for label_here, label_there in labels.items()):
        place_file(label, target, MASK_NAME, copy=copy)
        return merged.split, merged.id
    array = as_labels(volume.array)
    relabelled = np.zeros(array.shape, label_dtype([0, max(labels.values())]))
    for value, new_value in labels.items():
        relabelled[array == value] = new_value
    save_nifti(relabelled, volume.affine, target / f"{MASK_NAME}.nii.gz")
    return merged.split, merged.id


def _read_label(path: Path, source: Source) -> Volume:
    """Read a label map.

    Raises:
        InputError: it cannot be read, or holds a value that the source does not describe. In the merged dataset the
            value may be that of another structure.
    """
    volume = read_volume(path)
    unknown = sorted(set(np.unique(as_labels(volume.array)).tolist()) - set(source.labels))
    if unknown:
        shown = list_names(list(map(str, unknown)))
        message = f"holds [{shown}], but the labels of {source.name} are {sorted(source.labels)}."
        raise InputError(Problem(path.name, message))
    return volume
