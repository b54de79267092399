"""MANIFEST.json: the sha256 of every file of a bundle, so that a receiver sees what was changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mist_bundle.artifacts import MANIFEST_JSON, read_json, write_json
from mist_bundle.errors import InputError, Problem

SIGNATURE = f"{MANIFEST_JSON}.sig"  # a signature of the manifest cannot be listed in it


def file_hashes(bundle: Path) -> dict[str, str]:
    """sha256 of every file by its path in the bundle; the manifest, its signature and compiled Python do not count."""
    files = (path for path in sorted(bundle.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    hashes = {path.relative_to(bundle).as_posix(): sha256_of(path) for path in files}
    for name in (MANIFEST_JSON, SIGNATURE):
        hashes.pop(name, None)
    return hashes


def write_manifest(bundle: Path) -> None:
    """Write MANIFEST.json for the files as they are now."""
    write_json(bundle / MANIFEST_JSON, {"algorithm": "sha256", "files": file_hashes(bundle)})


def check_manifest(bundle: Path, files: Iterable[str], absent: Iterable[str] = ()) -> None:
    """Compare files of a bundle with its manifest.

    Args:
        bundle: its folder.
        files: paths in it of all files that are there.
        absent: files that may be missing, because they are downloaded.

    Raises:
        InputError: naming every file that is not listed, is missing, or has another hash.
    """
    listed: Any = read_json(bundle / MANIFEST_JSON)
    hashes = listed.get("files") if isinstance(listed, dict) else None
    if not isinstance(hashes, dict) or listed.get("algorithm") != "sha256":
        raise InputError(Problem(MANIFEST_JSON, "is not a manifest: expected 'algorithm': 'sha256' and 'files'."))
    there = sorted(set(files) - {MANIFEST_JSON, SIGNATURE})
    problems = [Problem(name, f"is not in {MANIFEST_JSON}.") for name in there if name not in hashes]
    missing = set(hashes) - set(there) - set(absent)
    problems += [Problem(name, f"is missing; {MANIFEST_JSON} lists it.") for name in sorted(missing)]
    for name in there:
        if name in hashes and (found := sha256_of(bundle / name)) != hashes[name]:
            problems.append(Problem(name, f"was changed: its sha256 is {found}, {MANIFEST_JSON} says {hashes[name]}."))
    if problems:
        raise InputError(problems)


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
