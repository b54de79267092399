"""The runtime as a bundle's `scripts/`: a copy, byte for byte, or for a bundle of this repository a link to it.

With the copy, the bundle runs without mist_bundle, and a reader can compare the copy with the release it is from. A
trained bundle in `bundles/` beside the package has a link instead of a copy, so that the runtime exists only once in
the repository; `pack` and `push` replace the link by plain files.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from mist_bundle.files import SCRIPTS_FOLDER, real_path
from mist_bundle.resources import PACKAGE
from mist_bundle.runtime.folds.files import sha256_of

RUNTIME = PACKAGE / "runtime"
# from <repository>/bundles/<name>; no other link is accepted anywhere in a bundle
RUNTIME_LINK = "../../mist_bundle/runtime"


def runtime_files() -> list[Path]:
    """List the source files of the runtime, relative to it, sorted."""
    return sorted(path.relative_to(RUNTIME) for path in RUNTIME.rglob("*.py"))


@cache
def runtime_hashes() -> Mapping[str, str]:
    """Hash this version's runtime: path in scripts/ -> sha256."""
    return {file.as_posix(): sha256_of(RUNTIME / file) for file in runtime_files()}


def copy_runtime(scripts: Path) -> None:
    """Copy every source file of the runtime to the folder `scripts`."""
    for file in runtime_files():
        target = scripts / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(RUNTIME / file, target)


def link_runtime(bundle: Path) -> None:
    """Replace `scripts` of a bundle in `bundles/` by a link to the runtime of the package beside it."""
    scripts = bundle / SCRIPTS_FOLDER
    if scripts.is_symlink():
        scripts.unlink()
    elif scripts.is_dir():
        shutil.rmtree(scripts)
    scripts.symlink_to(RUNTIME_LINK, target_is_directory=True)


def linked_runtime(bundle: Path) -> Path | None:
    """Return the runtime that `scripts` links to; None if it is a folder, missing, or any other link.

    The link must be the relative link that this project writes, with no further link on its way: the target is the
    runtime of a mist_bundle in the same repository. Its content is not trusted; it is read like any script.
    """
    scripts = bundle / SCRIPTS_FOLDER
    if not scripts.is_symlink() or scripts.readlink().as_posix() != RUNTIME_LINK:
        return None
    target = real_path(bundle).parent.parent / "mist_bundle" / "runtime"
    return target if target.is_dir() and real_path(target) == target else None


def is_own_runtime(folder: Path) -> bool:
    """Return whether a folder is the runtime of the running program, whose compiled files are trusted."""
    return real_path(folder) == RUNTIME
