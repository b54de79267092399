"""MANIFEST.json: the sha256 of every file of a bundle, so that a receiver sees what was changed since."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mist_bundle.artifacts import MANIFEST_JSON, write_json


def file_hashes(bundle: Path) -> dict[str, str]:
    """sha256 of every file but the manifest itself, by its path in the bundle; compiled Python files do not count."""
    files = (path for path in sorted(bundle.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    hashes = {path.relative_to(bundle).as_posix(): _sha256(path) for path in files}
    hashes.pop(MANIFEST_JSON, None)
    return hashes


def write_manifest(bundle: Path) -> None:
    """Write MANIFEST.json for the files as they are now."""
    write_json(bundle / MANIFEST_JSON, {"algorithm": "sha256", "files": file_hashes(bundle)})


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
