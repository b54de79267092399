"""Delete compiled Python files from a bundle's folder: a cache that Python makes again from the sources."""

from __future__ import annotations

import os
from pathlib import Path


def remove_bytecode(bundle: Path) -> int:
    """Delete every __pycache__ entry below `bundle`, following no link; returns how many files went."""
    count = 0
    for folder, _, names in os.walk(bundle, followlinks=False):
        if Path(folder).name != "__pycache__":
            continue
        for name in names:
            if name.endswith((".pyc", ".pyo")):
                (Path(folder) / name).unlink()
                count += 1
    return count
