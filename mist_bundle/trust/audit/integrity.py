"""MANIFEST.json: hashes of all files, and the detached signature over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from mist_bundle.bundle.manifest import Manifest, compare
from mist_bundle.errors import InputError
from mist_bundle.files import LARGE_FILES_YML, MANIFEST_JSON, MODEL_PT, SCRIPTS_FOLDER, SIGNATURE
from mist_bundle.runtime.folds.files import UNFINISHED
from mist_bundle.runtime.folds.manifest import FOLD_WEIGHTS
from mist_bundle.runtime.settings import CONFIG_SUFFIXES
from mist_bundle.trust.audit.bundle_files import BundleFiles
from mist_bundle.trust.audit.documents import MAX_BYTES, parse_document
from mist_bundle.trust.audit.finding import Finding, finding
from mist_bundle.trust.signature import PublicKey

MAX_MANIFEST_BYTES = 16 << 20
# texts whose whole content is audited: an edited number is no reason to refuse
EDITABLE = (*CONFIG_SUFFIXES, ".md", ".txt", ".conf")


def check_manifest(files: BundleFiles, checked: Counter[str], key: PublicKey | None) -> Iterator[Finding]:
    """Compare every file with the manifest; with a key, demand that its owner signed exactly this content."""
    manifest = None
    if MANIFEST_JSON not in files.sizes:
        yield finding("manifest-missing", MANIFEST_JSON, "", "There is no manifest.")
    else:
        manifest = _parse(files.read(MANIFEST_JSON, MAX_MANIFEST_BYTES))
        if manifest is None:
            yield finding("manifest-broken", MANIFEST_JSON, "", "It has no sha256 hash for each of its files.")
    signed = False
    for item in _signature(files, key):
        signed = item is None
        if item is not None:
            yield item
    if manifest is not None:
        yield from _compare(files, manifest, checked, signed=signed)


def _compare(files: BundleFiles, manifest: Manifest, checked: Counter[str], *, signed: bool) -> Iterator[Finding]:
    names = [name for name in files.names() if _is_compared(name, signed=signed)]
    if manifest.links_scripts:
        # linked scripts are compared with the released runtime instead (code.py), which no edited manifest can prevent
        names = [name for name in names if not name.startswith(f"{SCRIPTS_FOLDER}/")]
        if signed:
            yield finding("signature-unlisted", SCRIPTS_FOLDER, "", "The manifest lists none of the scripts.")
    hashes = dict(zip(names, map(files.sha256, names), strict=True))
    checked["hashes"] += len(hashes)
    elsewhere = _elsewhere(files)
    for difference in compare(manifest.accepted(manifest.files), hashes):
        name = difference.name
        if difference.kind == "unlisted":
            code = "signature-unlisted" if signed else "manifest-unlisted"
            yield finding(code, name, "", "The manifest does not list it.")
        elif difference.kind == "changed":
            edited = name.endswith(EDITABLE) and not signed
            listed = " or ".join(f"{digest[:12]}…" for digest in difference.listed)
            what = f"Its sha256 is {difference.actual[:12]}…, the manifest says {listed}."
            yield finding("manifest-edited" if edited else "manifest-mismatch", name, "", what)
        elif not (fnmatchcase(name, FOLD_WEIGHTS) and hashes.get(MODEL_PT) in difference.listed):
            code = "file-elsewhere" if elsewhere.get(name) in difference.listed else "file-missing"
            yield finding(code, name, "", "It is not there.")


def _is_compared(name: str, *, signed: bool) -> bool:
    """Whether the manifest has to list a file; a signed manifest has to list even what does not belong to a bundle."""
    if name in (MANIFEST_JSON, SIGNATURE) or "__pycache__" in name.split("/"):
        return False
    return signed or not name.endswith(UNFINISHED)


def _elsewhere(files: BundleFiles) -> dict[str, str]:
    """sha256 of the files that large_files.yml leaves to be downloaded, by path."""
    if LARGE_FILES_YML not in files.sizes:
        return {}
    content, _ = parse_document(LARGE_FILES_YML, files.read(LARGE_FILES_YML, MAX_BYTES + 1))
    entries = content.get("large_files") if isinstance(content, Mapping) else None
    hashes: dict[str, str] = {}
    if not isinstance(entries, list):
        return hashes
    for entry in entries:
        if isinstance(entry, Mapping) and entry.get("hash_type", "sha256") == "sha256":
            hashes[str(entry.get("path"))] = str(entry.get("hash_val"))
    return hashes


def _parse(content: bytes) -> Manifest | None:
    try:
        return Manifest.parse(content)
    except InputError:
        return None


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
