"""Copy `runtime/` into a bundle as `scripts/`, byte for byte.

The bundle then runs where mist_bundle is not installed, and a reader can compare the copy with the release it is from.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mist_bundle.resources import PACKAGE

RUNTIME = PACKAGE / "runtime"


def runtime_files() -> list[Path]:
    """All source files of the runtime, relative to it, sorted."""
    return sorted(path.relative_to(RUNTIME) for path in RUNTIME.rglob("*.py"))


def copy_runtime(scripts: Path) -> None:
    """Copy every source file of the runtime to the folder `scripts`."""
    for file in runtime_files():
        target = scripts / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(RUNTIME / file, target)
