"""Rules about names: which ones can be file names, which are reserved, and what a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mist_bundle.runtime.reading.formats import ENDINGS
from mist_bundle.runtime.values import nearest

IMAGE_SUFFIXES = ENDINGS
READABLE = ", ".join(IMAGE_SUFFIXES)  # for messages

# columns of the tables that users hand in which are never image channels
RESERVED_COLUMNS = ("id", "mask", "fold")
# rows of statistics at the end of results.csv, in lower case
SUMMARY_ROWS = ("mean", "std", "median", "25th percentile", "75th percentile")


def nearest_hint(word: str, known: Iterable[str]) -> str:
    """`Did you mean "x"?` for the known word that looks most like `word`, or "" when none does."""
    found = nearest(word, known, cutoff=0.6)
    return f'Did you mean "{found}"?' if found else ""


def file_name_problem(name: str) -> str:
    """Why `name` cannot be a file or folder name on every system, or "" when it can."""
    if not name or name != name.strip():
        return "is empty or begins or ends with a space"
    if name.startswith("."):
        return "begins with a dot"
    bad = sorted(set(name) & set('/\\:*?"<>|')) or [char for char in name if not char.isprintable()]
    return f"holds the character {bad[0]!r}, which file names cannot have" if bad else ""


def id_problem(name: str) -> str:
    """Why `name` cannot be the id of a case, or "" when it can.

    Files are named after ids, results have a row for each, and bundles are JSON in which `$`, `@` and `%` begin
    something that is run.
    """
    wrong = file_name_problem(name)
    if wrong:
        return wrong
    if name.casefold() in SUMMARY_ROWS:
        return "is the name of a row of statistics in the tables of results"
    return _expression_problem(name)


def class_name_problem(name: str) -> str:
    """Why `name` cannot name a label or a class in a bundle, or "" when it can."""
    if not name.strip():
        return "is empty"
    unprintable = [char for char in name if not char.isprintable()]
    if unprintable:
        return f"holds the character {unprintable[0]!r}, which cannot be printed"
    if ".." in name.replace("\\", "/").split("/") or name[0] in "/\\~":
        return "looks like the path of a file"
    return _expression_problem(name)


def _expression_problem(name: str) -> str:
    found = "$" if "$" in name else name[0] if name[0] in "@%" else ""
    return f'holds "{found}", which begins an expression in a bundle' if found else ""


def user_path(text: str) -> Path:
    """The path that a user wrote, with ~ for the home folder; a ~ that is nobody's home stays as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_text(name: str) -> bool:
    """Whether a file name is text: on Linux it can be any bytes, and what is not UTF-8 cannot be written into JSON."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shown(name: str) -> str:
    """A name as it can stand in a message of one line."""
    return name if name.isprintable() else ascii(name)


def is_image(path: Path) -> bool:
    """Whether the file's own name ends like that of an image that can be read (.nii.gz, .nrrd …) and is not hidden."""
    return not path.name.startswith(".") and path.name.lower().endswith(IMAGE_SUFFIXES)


def image_stem(path: Path) -> str:
    """The file's own name without its ending."""
    return path.name[: len(path.name) - len(image_suffix(path))]


def image_suffix(path: Path) -> str:
    """The ending that makes the file an image, in lower case, such as .nii.gz; "" where it has none of them."""
    name = path.name.lower()
    return next((suffix for suffix in IMAGE_SUFFIXES if name.endswith(suffix)), "")
