"""MANIFEST.json: hashes of all files, and the signature over it or over all files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from mist_bundle.bundle.manifest import Manifest, compare
from mist_bundle.errors import InputError
from mist_bundle.files import LARGE_FILES_YML, MANIFEST_JSON, MODEL_PT, SCRIPTS_FOLDER
from mist_bundle.runtime.folds.files import UNFINISHED
from mist_bundle.runtime.folds.manifest import FOLD_WEIGHTS, SIGNATURES
from mist_bundle.runtime.settings import CONFIG_SUFFIXES
from mist_bundle.trust.audit.bundle_files import BundleFiles, is_left_by_download
from mist_bundle.trust.audit.documents import MAX_BYTES, parse_document
from mist_bundle.trust.audit.finding import Finding, finding
from mist_bundle.trust.keys import PublicKey
from mist_bundle.trust.openssf import SignatureError
from mist_bundle.trust.signature import signature_of, signed_hashes

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
    wrong = list(_signature(files, manifest, key))
    yield from wrong
    if manifest is not None:
        yield from _compare(files, manifest, checked, signed=key is not None and not wrong)


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
    if name in (MANIFEST_JSON, *SIGNATURES) or "__pycache__" in name.split("/") or is_left_by_download(name):
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


def _signature(files: BundleFiles, manifest: Manifest | None, key: PublicKey | None) -> Iterator[Finding]:
    """Findings about the signature; none where the owner of the key signed the manifest and the files that it lists."""
    if key is None:
        for name in SIGNATURES:
            if name in files.sizes:
                yield finding("signature-unchecked", name, "", "The bundle is signed.")
        return
    name = signature_of(key)
    if name not in files.sizes or MANIFEST_JSON not in files.sizes:
        others = [other for other in SIGNATURES if other in files.sizes]
        what = f"A key of another kind made {others[0]}." if others else "There is no signature."
        yield finding("signature-missing", name, "", what)
        return
    content = files.read(MANIFEST_JSON, MAX_MANIFEST_BYTES)
    try:
        signed = signed_hashes(files.read(name, MAX_MANIFEST_BYTES), content, key)
    except SignatureError as error:
        yield finding("signature-wrong", name, "", str(error))
        return
    if key.is_elliptic:
        yield from _signed_files(files, {} if manifest is None else manifest.files, signed)


def _signed_files(files: BundleFiles, listed: Mapping[str, str], signed: Mapping[str, str]) -> Iterator[Finding]:
    """Findings about the files that a signature lists; files with the hash of the manifest are compared with that."""
    for name in sorted({MANIFEST_JSON, *listed, *signed}):
        if name not in signed:
            yield finding("signature-unlisted", name, "", "The signature does not list it.")
        elif listed.get(name) == signed[name]:
            continue
        elif name not in files.sizes or files.sha256(name) != signed[name]:
            yield finding("signature-wrong", name, "", "It is not the file that was signed.")
