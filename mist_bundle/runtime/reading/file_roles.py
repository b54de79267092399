"""Which file of a case plays which role: an image channel or the label mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..wording import join_with_and
from .formats import image_stem


def match_files(
    files: Sequence[Path], patterns: Mapping[str, Sequence[str]], optional: frozenset[str] = frozenset()
) -> tuple[dict[str, Path], list[str]]:
    """Match each role to the single file whose name contains an identifying string of the role.

    A file whose whole name (with or without .nii.gz) equals an identifying string wins over files that merely contain
    it, so "t1.nii.gz" beside "ct1.nii.gz" is unambiguous.

    Args:
        files: image files of a case.
        patterns: role (channel name or "mask") -> identifying strings.
        optional: roles that may be left without a file.

    Returns:
        Role -> file for every role that is unambiguous, and a finding for each other role.
    """
    chosen: dict[str, Path] = {}
    findings: list[str] = []
    for role, strings in patterns.items():
        matches = _matching_files(files, strings)
        if len(matches) == 1:
            chosen[role] = matches[0]
        elif matches:
            findings.append(_ambiguous(role, strings, matches))
        elif role not in optional:
            findings.append(_unmatched(role, strings, files))
    for file in files:
        roles = [role for role in chosen if chosen[role] == file]
        if len(roles) > 1:
            findings.append(
                f"{file.name} matches {join_with_and(roles)}; each needs its own file. Make the strings more specific."
            )
            for role in roles:
                del chosen[role]
    return chosen, findings


def _matching_files(files: Sequence[Path], strings: Sequence[str]) -> list[Path]:
    exact = []
    partial = []
    for file in files:
        if file.name in strings or image_stem(file) in strings:
            exact.append(file)
        elif any(string in file.name for string in strings):
            partial.append(file)
    return exact or partial


def _ambiguous(role: str, strings: Sequence[str], matches: Sequence[Path]) -> str:
    return (
        f'{len(matches)} files match "{role}" {list(strings)}: {", ".join(_names(matches))}. '
        "Make its strings in dataset.json more specific, such as the end of the file name."
    )


def _unmatched(role: str, strings: Sequence[str], files: Sequence[Path]) -> str:
    present = f"the folder holds {_names(files)}" if files else "the folder holds no image file"
    return f'no file matches "{role}" {list(strings)}; {present}.'


def _names(files: Sequence[Path]) -> list[str]:
    return [file.name for file in files]
