"""The plain files that belong to a bundle, for the manifest as for `pack`, `push` and `verify`."""

from __future__ import annotations

import os
from pathlib import Path

from mist_bundle.bundle.vendor import linked_runtime
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import SCRIPTS_FOLDER
from mist_bundle.runtime.folds.manifest import belongs


def plain_files(bundle: Path) -> dict[str, Path]:
    """List the files that belong to a bundle, sorted by path; linked scripts count as the files they link to.

    Returns:
        Path in the bundle -> file.

    Raises:
        InputError: there are other links, whose targets would not travel with the bundle; names all of them.
    """
    files: dict[str, Path] = {}
    problems: list[Problem] = []
    runtime = linked_runtime(bundle)
    _collect(bundle, "", files, problems, known_link=None if runtime is None else SCRIPTS_FOLDER)
    if runtime is not None:
        _collect(runtime, f"{SCRIPTS_FOLDER}/", files, problems)
    if problems:
        raise InputError(problems)
    return dict(sorted(files.items()))


def _collect(
    root: Path, prefix: str, files: dict[str, Path], problems: list[Problem], known_link: str | None = None
) -> None:
    for folder, subfolders, names in os.walk(root, followlinks=False):
        for entry in [*subfolders, *names]:
            path = Path(folder) / entry
            inside = path.relative_to(root).as_posix()
            if not belongs(prefix + inside) or inside == known_link:
                continue
            if path.is_symlink():
                problems.append(Problem(str(path), "is a link; a bundle holds its files. Put the file itself there."))
            elif path.is_file():
                files[prefix + inside] = path
