"""MANIFEST.json: the sha256 of every file of a bundle, so that a receiver sees what was changed since.

What counts, how it is hashed and how a publication changes it stands in runtime/folds, which travels with the bundle.
"""

from __future__ import annotations

from pathlib import Path

from mist_bundle.artifacts import SIGNATURE, read_json
from mist_bundle.runtime.folds.manifest import (
    ALGORITHM,
    MANIFEST,
    accepted_hashes,
    counts_in_manifest,
    file_hashes,
    write_manifest_content,
)

__all__ = ["ALGORITHM", "accepted_hashes", "counts_in_manifest", "file_hashes", "stale_files", "write_manifest"]


def write_manifest(bundle: Path) -> None:
    """Write MANIFEST.json for the files as they are now; a signature over the former one is removed."""
    write_manifest_content(bundle, file_hashes(bundle), None)
    (bundle / SIGNATURE).unlink(missing_ok=True)


def stale_files(bundle: Path) -> list[tuple[str, str]]:
    """Files that do not fit the manifest, each with how."""
    accepted, present = accepted_hashes(read_json(bundle / MANIFEST)), file_hashes(bundle)
    stale = [(name, "is not in") for name in present if name not in accepted]
    stale += [
        (name, "has another hash than in")
        for name, digest in present.items()
        if name in accepted and digest not in accepted[name]
    ]
    gone = [name for name, hashes in accepted.items() if name not in present and None not in hashes]
    return sorted(stale + [(name, "is gone, but listed in") for name in gone])
