"""Rules for the names of files, cases, classes and columns, and suggestions for misspelt names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from mist_bundle.errors import Problem
from mist_bundle.runtime.reading.formats import ENDINGS

IMAGE_SUFFIXES = ENDINGS
READABLE = ", ".join(IMAGE_SUFFIXES)  # for messages

MAX_NAME_BYTES = 255  # of a file or folder, on every usual system
# of an id after which a label map is named: `.ID.nii.gz.xxxxxxxx.partial` is its name while it is written
MAX_ID_BYTES = MAX_NAME_BYTES - 25

# columns of the user's tables that are never image channels
RESERVED_COLUMNS = ("id", "mask", "fold")
# rows of statistics at the end of results.csv, in lower case
SUMMARY_ROWS = ("mean", "std", "median", "25th percentile", "75th percentile")

_FORBIDDEN_IN_FILE_NAMES = '/\\:*?"<>|'


def file_name_problem(name: str) -> str:
    """Return why `name` cannot be a file or folder name on every system, or "" if it can."""
    if not name or name != name.strip():
        return "is empty or begins or ends with a space"
    if name.startswith("."):
        return "begins with a dot"
    length = len(name.encode("utf-8", "surrogateescape"))
    if length > MAX_NAME_BYTES:
        return f"is too long: it has {length} bytes, and names of files have at most {MAX_NAME_BYTES}"
    for character in sorted(name):
        if character in _FORBIDDEN_IN_FILE_NAMES or not character.isprintable():
            return f"holds the character {character!r}, which file names cannot have"
    return ""


def id_problem(name: str) -> str:
    """Return why `name` cannot be the id of a case, or "" if it can.

    Files are named after ids, results have a row for each, and bundles are JSON in which `$`, `@` and `%` begin
    expressions.
    """
    wrong = file_name_problem(name)
    if wrong:
        return wrong
    if name.casefold() in SUMMARY_ROWS:
        return "is the name of a row of statistics in the tables of results"
    return _expression_problem(name)


def channel_name_problem(name: str) -> str:
    """Return why `name` cannot be the name of a channel, or "" if it can: a file and a key of bundles bear it."""
    return file_name_problem(name) or _expression_problem(name)


def long_id_problem(name: str) -> str:
    """Why no label map can be named after an id, or "" when it can."""
    length = len(name.encode("utf-8", "surrogateescape"))
    if length <= MAX_ID_BYTES:
        return ""
    return f"is too long for the name of a label map ({length} bytes; at most {MAX_ID_BYTES} fit)"


def similar_names(names: Iterable[str]) -> list[Problem]:
    """Warnings about names that differ in upper and lower case alone: some file systems take them for the same."""
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(name.casefold(), []).append(name)
    warnings = []
    for alike in spellings.values():
        if len(alike) > 1:
            message = "differ in upper and lower case alone, which Windows and macOS do not tell apart in file names."
            warnings.append(Problem(", ".join(sorted(alike)), f"{message} Rename all but one of them."))
    return warnings


def class_name_problem(name: str) -> str:
    """Return why `name` cannot name a label or a class in a bundle, or "" if it can."""
    if not name.strip():
        return "is empty"
    for character in name:
        if not character.isprintable():
            return f"holds the character {character!r}, which cannot be printed"
    if ".." in name.replace("\\", "/").split("/") or name[0] in "/\\~":
        return "looks like the path of a file"
    return _expression_problem(name)


def _expression_problem(name: str) -> str:
    if "$" in name:
        return 'holds "$", which begins an expression in a bundle'
    if name[0] in "@%":
        return f'holds "{name[0]}", which begins an expression in a bundle'
    return ""


def slug(text: str) -> str:
    """Return the lower-case letters, digits and single underscores of `text`; "" if it has none."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def default_label_name(label: int) -> str:
    """Return the name of a label that the user has not named."""
    return "background" if label == 0 else f"label_{label}"


def user_path(text: str) -> Path:
    """Return the path that a user wrote, with ~ for the home folder; an unknown user's ~ is kept literally."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_text(name: str) -> bool:
    """Return whether a file name is UTF-8. Linux allows any bytes, but only text can be written into JSON."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shown(name: str) -> str:
    """Return a name in a form that fits a single-line message."""
    return name if name.isprintable() else ascii(name)


def is_image(path: Path) -> bool:
    """Return whether the file is not hidden and has a suffix that can be read (.nii.gz, .nrrd …)."""
    return not path.name.startswith(".") and path.name.lower().endswith(IMAGE_SUFFIXES)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number if something else is called so."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
