"""MANIFEST.json: the sha256 of every file of a bundle, and what a publication under way changes about them.

Two kinds of files may lack a copy of their own, so that a repository stores nothing twice. A bundle whose `scripts` is
a link does not list them: its manifest says `linked`. And `models/fold_K.pt` may be absent where the manifest lists it
with the hash of `models/model.pt`, which then stands for it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .files import UNFINISHED, sha256_of, write_json

logger = logging.getLogger(__name__)

MANIFEST = "MANIFEST.json"
SIGNATURE = "MANIFEST.json.sig"
ALGORITHM = "sha256"
# path -> hash that a publication gives it, null for a file that goes; there only while one is under way
PENDING = "pending"
# folder -> what it links to; there only if one does
LINKED = "linked"
SCRIPTS = "scripts"
MODEL = "models/model.pt"
FOLD_WEIGHTS = "models/fold_*.pt"
# names of caches and of what systems and the model zoo's CI leave behind
LEFT_OUT = frozenset({"__pycache__", "eval", "Thumbs.db"})


def belongs(name: str) -> bool:
    """Whether the file of that path in a bundle is part of it; caches, hidden files and unfinished writes are not."""
    hidden = any(part in LEFT_OUT or part.startswith(".") for part in name.split("/"))
    return not hidden and not name.endswith(UNFINISHED)


def counts_in_manifest(name: str) -> bool:
    """Whether the file of that path is listed: all that belong, but for the manifest and its signature."""
    return name not in (MANIFEST, SIGNATURE) and belongs(name)


def file_hashes(bundle: Path) -> dict[str, str]:
    """sha256 of every file that counts and lies in the bundle's folder, by its path there."""
    files = {path.relative_to(bundle).as_posix(): path for path in sorted(bundle.rglob("*")) if path.is_file()}
    return {name: sha256_of(path) for name, path in files.items() if counts_in_manifest(name)}


def read_manifest(bundle: Path) -> dict[str, Any] | None:
    """The manifest of a bundle; None where there is none that can be used."""
    try:
        content = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("files"), dict) else None


def write_manifest_content(bundle: Path, files: Mapping[str, str], pending: Mapping[str, str | None] | None) -> None:
    """Write the manifest, its files sorted by path."""
    content: dict[str, Any] = {"algorithm": ALGORITHM}
    if (bundle / SCRIPTS).is_symlink():
        content[LINKED] = {SCRIPTS: (bundle / SCRIPTS).readlink().as_posix()}
    content["files"] = dict(sorted(files.items()))
    if pending is not None:
        content[PENDING] = dict(sorted(pending.items()))
    write_json(bundle / MANIFEST, content)


def accepted_hashes(manifest: Mapping[str, Any]) -> dict[str, set[str | None]]:
    """What each file may be: as it is listed, or as the publication under way leaves it; None: it may be missing.

    Each file is replaced in one step, so at every moment of a publication, and after one that was killed, each file
    is one or the other. Nobody has to finish the publication before the bundle can be checked.
    """
    listed: Mapping[str, str] = manifest["files"]
    accepted: dict[str, set[str | None]] = {name: {digest} for name, digest in listed.items()}
    for name, digest in (manifest.get(PENDING) or {}).items():
        accepted.setdefault(name, {None}).add(digest)
    return accepted


def stored_as_model(bundle: Path) -> list[str]:
    """Paths of the folds' weights that have no file of their own, since model.pt is listed with the same hash.

    Returns:
        The paths in the bundle; empty where model.pt is not, or no longer, what the manifest lists.
    """
    manifest = read_manifest(bundle)
    listed = {} if manifest is None else manifest["files"]
    digest = listed.get(MODEL)
    same = [name for name, value in listed.items() if value == digest and fnmatchcase(name, FOLD_WEIGHTS)]
    absent = [name for name in same if not (bundle / name).is_file()]
    if absent and not ((bundle / MODEL).is_file() and sha256_of(bundle / MODEL) == digest):
        logger.warning("%s: missing, and %s is not the copy of it that %s lists.", ", ".join(absent), MODEL, MANIFEST)
        return []
    return absent
