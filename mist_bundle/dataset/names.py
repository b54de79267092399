"""Rules about names: which ones can be file names, which are reserved, and what a misspelt one was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

NIFTI_SUFFIXES = (".nii.gz", ".nii")

# columns of the tables that users hand in which are never image channels
RESERVED_COLUMNS = ("id", "mask", "fold")


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """`Did you mean "x"?` for the known word that looks most like `word`, or "" when none does."""
    by_lower = {name.lower().replace("_", "-"): name for name in known}
    found = difflib.get_close_matches(word.lower().replace("_", "-"), list(by_lower), n=1, cutoff=0.6)
    return f'Did you mean "{by_lower[found[0]]}"?' if found else ""


def file_name_problem(name: str) -> str:
    """Why `name` cannot be a file or folder name on every system, or "" when it can."""
    if not name or name != name.strip():
        return "is empty or begins or ends with a space"
    if name.startswith("."):
        return "begins with a dot"
    bad = sorted(set(name) & set('/\\:*?"<>|')) or [char for char in name if not char.isprintable()]
    return f"holds the character {bad[0]!r}, which file names cannot have" if bad else ""


def is_nifti(path: Path) -> bool:
    """Whether the file's own name ends like that of a NIfTI file (.nii or .nii.gz) and is not hidden."""
    return not path.name.startswith(".") and path.name.lower().endswith(NIFTI_SUFFIXES)


def nifti_stem(path: Path) -> str:
    """The file's own name without .nii or .nii.gz."""
    for suffix in NIFTI_SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def nifti_suffix(path: Path) -> str:
    """The file's ending, as written in lower case: .nii.gz or .nii."""
    return ".nii" if path.name.lower().endswith(".nii") else ".nii.gz"
