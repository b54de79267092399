"""MANIFEST.json: hashes of all files, and the detached signature over it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mist_bundle.artifacts import LARGE_FILES_YML, MANIFEST_JSON, SIGNATURE
from mist_bundle.bundle.manifest import ALGORITHM, accepted_hashes, counts_in_manifest
from mist_bundle.trust.audit.bundle_files import BundleFiles
from mist_bundle.trust.audit.documents import MAX_BYTES, parse_document
from mist_bundle.trust.audit.finding import Finding, finding
from mist_bundle.trust.signature import PublicKey

MAX_MANIFEST_BYTES = 16 << 20
Accepted = Mapping[str, set[str | None]]
# texts whose whole content is audited: an edited number is no reason to refuse
EDITABLE = (".json", ".yaml", ".yml", ".md", ".txt", ".conf")


def check_manifest(files: BundleFiles, checked: Counter[str], key: PublicKey | None) -> Iterator[Finding]:
    """Compare every file with the manifest; with a key, demand that its owner signed exactly this content."""
    listed = None
    if MANIFEST_JSON not in files.sizes:
        yield finding("manifest-missing", MANIFEST_JSON, "", "There is no manifest.")
    else:
        listed = _listed(files.read(MANIFEST_JSON, MAX_MANIFEST_BYTES))
        if listed is None:
            yield finding("manifest-broken", MANIFEST_JSON, "", "It has no sha256 hash for each of its files.")
    signed = False
    for found in _signature(files, key):
        signed = found is None
        if found is not None:
            yield found
    if listed is None:
        return
    for name in files.names():
        if not counts_in_manifest(name):
            continue
        checked["hashes"] += 1
        yield from _compare(files, name, listed, demand=signed)
    elsewhere = _elsewhere(files)
    for name in sorted(set(listed) - set(files.sizes)):
        if None in listed[name]:
            continue  # a publication under way takes it away, or has not brought it yet
        code = "file-elsewhere" if elsewhere.get(name) in listed[name] else "file-missing"
        yield finding(code, name, "", "It is not there.")


def _elsewhere(files: BundleFiles) -> dict[str, str]:
    """sha256 of the files that large_files.yml leaves to be downloaded, by path."""
    if LARGE_FILES_YML not in files.sizes:
        return {}
    content, _ = parse_document(LARGE_FILES_YML, files.read(LARGE_FILES_YML, MAX_BYTES + 1))
    entries = content.get("large_files") if isinstance(content, Mapping) else None
    return {
        str(entry.get("path")): str(entry.get("hash_val"))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping) and entry.get("hash_type", "sha256") == "sha256"
    }


def _listed(content: bytes) -> Accepted | None:
    """The hashes that each file may have."""
    try:
        manifest: Any = json.loads(content)
        hashes = accepted_hashes(manifest)
        usable = manifest["algorithm"] == ALGORITHM and all(
            isinstance(value, str) for value in manifest["files"].values()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return hashes if usable else None


def _signature(files: BundleFiles, key: PublicKey | None) -> Iterator[Finding | None]:
    """Findings about the signature; None when it was checked and holds."""
    present = SIGNATURE in files.sizes
    if key is None:
        if present:
            yield finding("signature-unchecked", SIGNATURE, "", "The bundle is signed.")
        return
    if not present or MANIFEST_JSON not in files.sizes:
        yield finding("signature-missing", SIGNATURE, "", "There is no signature.")
        return
    manifest, signature = files.read(MANIFEST_JSON, MAX_MANIFEST_BYTES), files.read(SIGNATURE, 4096)
    if key.verifies(manifest, signature):
        yield None
    else:
        yield finding("signature-wrong", SIGNATURE, "", f"The key {key.fingerprint} did not make it.")


def _compare(
    files: BundleFiles, name: str, listed: Mapping[str, set[str | None]], *, demand: bool
) -> Iterator[Finding]:
    if name not in listed:
        code = "signature-unlisted" if demand else "manifest-unlisted"
        yield finding(code, name, "", "The manifest does not list it.")
        return
    found = files.sha256(name)
    if found not in listed[name]:
        edited = name.endswith(EDITABLE) and not demand
        code = "manifest-edited" if edited else "manifest-mismatch"
        yield finding(code, name, "", f"Its sha256 is {found[:12]}…, the manifest says {_shown(listed[name])}.")


def _shown(hashes: set[str | None]) -> str:
    return " or ".join(sorted(f"{digest[:12]}…" for digest in hashes if digest is not None))
