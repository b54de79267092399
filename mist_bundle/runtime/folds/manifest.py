"""MANIFEST.json: the sha256 of every file of a bundle, and what a publication under way changes about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import UNFINISHED, sha256_of, write_json

MANIFEST = "MANIFEST.json"
SIGNATURE = "MANIFEST.json.sig"
ALGORITHM = "sha256"
# path -> hash that a publication gives it, null for a file that goes; there only while one is under way
PENDING = "pending"


def counts_in_manifest(name: str) -> bool:
    """Whether the file of that path in the bundle is listed.

    The manifest lists neither itself nor the signature over it, nor compiled Python files and unfinished writes.
    """
    return name not in (MANIFEST, SIGNATURE) and "__pycache__" not in name.split("/") and not name.endswith(UNFINISHED)


def file_hashes(bundle: Path) -> dict[str, str]:
    """sha256 of every file that counts, by its path in the bundle."""
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
    content: dict[str, Any] = {"algorithm": ALGORITHM, "files": dict(sorted(files.items()))}
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
