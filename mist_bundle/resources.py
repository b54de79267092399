"""The files that mist_bundle consists of. A missing file is a fault of the installation, not of the input."""

from __future__ import annotations

import csv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from mist_bundle.errors import InstallationError

PACKAGE = Path(__file__).resolve().parent
DISTRIBUTION = "mist-bundle"


def own_file(name: str) -> Path:
    """Path of a file of this package.

    Args:
        name: relative to mist_bundle/, with forward slashes.

    Raises:
        InstallationError: the file is missing.
    """
    path = PACKAGE / name
    if not path.is_file():
        raise _incomplete([name])
    return path


def own_text(name: str) -> str:
    """The text of a file of this package; see `own_file`."""
    return own_file(name).read_text(encoding="utf-8")


def require_complete() -> None:
    """Check that all files that pip installed exist. A checkout has no list of them and always passes.

    Raises:
        InstallationError: files are missing.
    """
    missing = []
    for name in _installed_files():
        if not (PACKAGE.parent / name).is_file():
            missing.append(name.removeprefix(f"{PACKAGE.name}/"))
    if missing:
        raise _incomplete(missing)


def _incomplete(missing: list[str]) -> InstallationError:
    more = f" (and {len(missing) - 1} more files)" if len(missing) > 1 else ""
    return InstallationError(
        f"{PACKAGE / missing[0]}: is missing{more}. It is a part of mist_bundle: the installation is incomplete, and "
        "nothing is wrong with your files. Install mist_bundle again, with pip's --force-reinstall."
    )


def _installed_files() -> list[str]:
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return []
    # RECORD instead of `installed.files`, which omits missing files from Python 3.12 on; a checkout has no RECORD
    record = installed.read_text("RECORD")
    if record is None or Path(str(installed.locate_file(""))).resolve() != PACKAGE.parent:
        return []  # an editable install, or another copy than the running package
    names = []
    for row in csv.reader(record.splitlines()):
        if row and row[0].startswith(f"{PACKAGE.name}/") and not row[0].endswith(".pyc"):
            names.append(row[0])
    return names
