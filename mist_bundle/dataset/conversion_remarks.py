"""What a conversion says about the cases: warnings, and the table of what was understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mist_bundle.dataset.merged_masks import LAST
from mist_bundle.dataset.placed_case import ABSENT, CaseContent, CaseSource, Channels
from mist_bundle.errors import Problem
from mist_bundle.runtime.wording import list_names

OVERLAPS_CSV = "overlaps.csv"
_MANY_LINES = 12  # warnings of a kind before they are summed up


def overlap_warnings(contents: Sequence[CaseContent], overlaps: str) -> list[Problem]:
    """The voxels that structures share, by case and pair; by pair where there are many."""
    warnings = []
    by_pair: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for content in contents:
        for pair, voxels in content.overlaps.items():
            by_pair.setdefault(pair, []).append((voxels, content.id))
            message = f"{pair[0]} and {pair[1]} share {voxels} voxels; {_resolution(pair, overlaps)}"
            warnings.append(Problem(content.id, message))
    if len(warnings) <= _MANY_LINES:
        return warnings
    warnings = []
    for pair, cases in by_pair.items():
        most, case_id = max(cases)
        shared = f"share voxels in {len(cases)} cases (most in {case_id}: {most}; all in {OVERLAPS_CSV})"
        warnings.append(Problem(f"{pair[0]} and {pair[1]}", f"{shared}; {_resolution(pair, overlaps)}"))
    return warnings


def _resolution(pair: tuple[str, str], overlaps: str) -> str:
    if overlaps == LAST:
        return (
            f"they are {pair[1]}, the later in the order. Change the order with --labels, or pass --overlaps regions."
        )
    return "they belong to both classes."


def missing_warnings(contents: Sequence[CaseContent], missing: str) -> list[Problem]:
    """The cases in which a structure has no mask file, and what that is taken for."""
    cases_without: dict[str, list[str]] = {}
    for content in contents:
        for structure in content.missing:
            cases_without.setdefault(structure, []).append(content.id)
    warnings = []
    for structure, cases in cases_without.items():
        number = "1 case has" if len(cases) == 1 else f"{len(cases)} of {len(contents)} cases have"
        meaning = "it is taken to be not annotated there, so that their background may hold it."
        if missing == ABSENT:
            meaning = "it is taken to be absent there. If it was only not annotated, pass --missing unannotated."
        warnings.append(Problem(structure, f"{number} no mask file of it ({list_names(cases)}): {meaning}"))
    return warnings


def description_table(content: Mapping[str, Any], channels: str = "") -> list[tuple[str, str]]:
    """What a new dataset.json says, as rows of property and value.

    Args:
        content: of the file.
        channels: what to say about the channels, in place of their names.
    """
    rows = [
        ("task", content["task"]),
        ("modality", content["modality"]),
        ("channels", channels or ", ".join(content["images"])),
        ("labels", ", ".join(f"{label} {name}" for label, name in content["label_names"].items())),
    ]
    regions = []
    for name, labels in content["final_classes"].items():
        if len(labels) > 1:
            regions.append(f"{name} {list(labels)}")
    if regions:
        rows.append(("classes", ", ".join(regions)))
    return rows


def understood_table(
    source: CaseSource,
    content: Mapping[str, Any],
    channels: Channels,
    contents: Sequence[CaseContent],
    tested: Sequence[CaseContent],
) -> list[tuple[str, str]]:
    """What was understood, as rows of property and value."""
    parts = []
    for column, names in channels.items():
        parts.append(", ".join(names) if len(names) == 1 else f"{', '.join(names)} (4D, from {column})")
    rows = description_table(content, ", ".join(parts))
    if source.structures:
        overlaps = sum(len(case.overlaps) > 0 for case in contents)
        lacking = sum(len(case.missing) > 0 for case in contents)
        rows.append(("overlaps", f"in {overlaps} cases" if overlaps else "none"))
        rows.append(("missing masks", f"in {lacking} cases" if lacking else "none"))
    rows += [("training cases", str(len(contents))), ("test cases", str(len(tested)))]
    return rows


def files_of_cases(source: CaseSource, contents: Sequence[CaseContent]) -> list[tuple[str, str]]:
    """The files of each usable case, as rows."""
    used = {content.id for content in contents}
    rows = []
    for case in (*source.training, *source.testing):
        if case.id in used:
            files = [path.name for path in case.images.values()]
            if case.label is not None:
                files.append(f"label {case.label.name}")
            elif source.structures:
                files.append(f"{len(case.masks)} masks")
            rows.append((case.id, ", ".join(files)))
    return rows
