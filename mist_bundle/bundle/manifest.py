"""MANIFEST.json: the sha256 of every file of a bundle, so that a receiver sees what was changed since."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mist_bundle.artifacts import MANIFEST_JSON, read_json, write_json

# the manifest lists neither itself nor the signature over it
UNLISTED = (MANIFEST_JSON, f"{MANIFEST_JSON}.sig")


def counts_in_manifest(name: str) -> bool:
    """Whether the file of that path in the bundle is listed; compiled Python files and unfinished writes are not."""
    return name not in UNLISTED and "__pycache__" not in name.split("/") and not name.endswith(".partial")


def file_hashes(bundle: Path) -> dict[str, str]:
    """sha256 of every file that counts, by its path in the bundle."""
    files = {path.relative_to(bundle).as_posix(): path for path in sorted(bundle.rglob("*")) if path.is_file()}
    return {name: _sha256(path) for name, path in files.items() if counts_in_manifest(name)}


def write_manifest(bundle: Path) -> None:
    """Write MANIFEST.json for the files as they are now; a signature over the former one is removed."""
    write_json(bundle / MANIFEST_JSON, {"algorithm": "sha256", "files": file_hashes(bundle)})
    (bundle / UNLISTED[1]).unlink(missing_ok=True)


def stale_files(bundle: Path) -> list[tuple[str, str]]:
    """Files that do not fit the manifest, each with how."""
    listed, present = read_json(bundle / MANIFEST_JSON)["files"], file_hashes(bundle)
    stale = [(name, "is not in") for name in present if name not in listed]
    stale += [
        (name, "has another hash than in") for name in present if listed.get(name, present[name]) != present[name]
    ]
    return sorted(stale + [(name, "is gone, but listed in") for name in listed if name not in present])


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
