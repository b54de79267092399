"""Folders of images as nnU-Net names them: <case>_0000.nii.gz is the first channel of a case, then <case>_0001."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mist_bundle.dataset.cases import Case, CaseList
from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.reading.formats import image_stem
from mist_bundle.runtime.wording import list_names

_NUMBERED = re.compile(r"(.+)_(\d{4})")


def numbered_cases(
    folder: Path, files: Sequence[Path], channel_names: Sequence[str], optional: frozenset[str] = frozenset()
) -> CaseList | None:
    """Group images by the numbers at the end of their names.

    Args:
        folder: that holds the images, for messages.
        files: its images.
        channel_names: channels of the model, in its order: number 0000 is the first.
        optional: channels that a case may lack.

    Returns:
        The cases, with a problem for each that lacks a channel; None where a file has no such number.

    Raises:
        InputError: no case has all channels.
    """
    by_case: dict[str, dict[int, list[Path]]] = {}
    for file in files:
        match = _NUMBERED.fullmatch(image_stem(file))
        if match is None:
            return None
        by_case.setdefault(match[1], {}).setdefault(int(match[2]), []).append(file)
    cases: list[Case] = []
    problems: list[Problem] = []
    for case_id, by_number in by_case.items():
        finding = _finding(by_number, channel_names, optional)
        if finding:
            problems.append(Problem(case_id, finding))
            continue
        images = {}
        for number, channel in enumerate(channel_names):
            if number in by_number:
                (images[channel],) = by_number[number]
        cases.append(Case(id=case_id, images=images))
    if not cases:
        raise InputError(problems)
    warnings = []
    if len(channel_names) > 1:
        meaning = ", ".join(f"_{number:04d} is {name}" for number, name in enumerate(channel_names))
        message = f"the numbers in its file names are taken for the model's channels: {meaning}. Check that they are."
        warnings.append(Problem(str(folder), message))
    return CaseList(cases=tuple(cases), problems=tuple(problems), warnings=tuple(warnings))


def _finding(by_number: dict[int, list[Path]], channel_names: Sequence[str], optional: frozenset[str]) -> str:
    """What is wrong with the files of a case, or ""."""
    expected = [f"_{number:04d} ({name})" for number, name in enumerate(channel_names)]
    found = [f"_{number:04d}" for number in sorted(by_number)]
    required = {number for number, name in enumerate(channel_names) if name not in optional}
    if not required <= set(by_number) <= set(range(len(channel_names))):
        return f"has the images {list_names(found)}; the model takes {', '.join(expected)}."
    for files in by_number.values():
        if len(files) > 1:
            return f"{files[0].name} and {files[1].name} would be the same channel. Remove or rename one of them."
    return ""
