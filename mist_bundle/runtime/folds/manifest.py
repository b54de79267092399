"""MANIFEST.json: the sha256 of every file of a bundle, and what a publication under way changes about them.

Two kinds of files may lack a copy of their own, so that a repository stores nothing twice. A bundle whose `scripts` is
a link does not list them: its manifest says `linked`. And `models/fold_K.pt` may be absent where the manifest lists it
with the hash of `models/model.pt`, which then stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .files import UNFINISHED, object_or_none, sha256_of, write_json

MANIFEST = "MANIFEST.json"
MODEL_SIGNATURE = "model.sig"  # over all files, by the name that OpenSSF model-signing uses
MANIFEST_SIGNATURE = "MANIFEST.json.sig"  # over the manifest alone
SIGNATURES = (MODEL_SIGNATURE, MANIFEST_SIGNATURE)
ALGORITHM = "sha256"
# path -> its hash after the publication, null for a file that goes; there only while a publication is under way
PENDING = "pending"
# folder -> what it links to; there only if `scripts` is a link
LINKED = "linked"
SCRIPTS = "scripts"
MODEL = "models/model.pt"
FOLD_WEIGHTS = "models/fold_*.pt"
# names of caches and of what systems and the model zoo's CI leave behind
LEFT_OUT = frozenset({"__pycache__", "eval", "Thumbs.db"})


def belongs(name: str) -> bool:
    """Whether the file of that path in a bundle is part of it; caches, hidden files and unfinished writes are not."""
    for part in name.split("/"):
        if part in LEFT_OUT or part.startswith("."):
            return False
    return not name.endswith(UNFINISHED)


def counts_in_manifest(name: str) -> bool:
    """Whether the file of that path is listed: all that belong, but for the manifest and the signatures."""
    return name not in (MANIFEST, *SIGNATURES) and belongs(name)


def file_hashes(bundle: Path) -> dict[str, str]:
    """sha256 of every file that counts and lies in the bundle's folder, by its path there."""
    hashes = {}
    for path in sorted(bundle.rglob("*")):
        name = path.relative_to(bundle).as_posix()
        if counts_in_manifest(name) and path.is_file():
            hashes[name] = sha256_of(path)
    return hashes


def read_manifest(bundle: Path) -> dict[str, Any] | None:
    """The manifest of a bundle; None where there is none that can be used."""
    content = object_or_none(bundle / MANIFEST)
    return content if content is not None and isinstance(content.get("files"), dict) else None


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

    Each file is replaced atomically, so at every moment of a publication, and after a publication that was killed, each
    file is in either state. Nobody has to finish the publication before the bundle can be checked.
    """
    accepted: dict[str, set[str | None]] = {}
    for name, digest in manifest["files"].items():
        accepted[name] = {digest}
    for name, digest in (manifest.get(PENDING) or {}).items():
        accepted.setdefault(name, {None}).add(digest)
    return accepted


def stored_as_model(bundle: Path) -> list[str]:
    """Paths of the folds' weights that have no file of their own, since model.pt is listed with the same hash.

    Returns:
        The paths in the bundle; empty where model.pt is not, or no longer, what the manifest lists.
    """
    copies = _absent_folds(bundle)
    digest = _listed(bundle).get(MODEL)
    absent = [name for name, listed in copies.items() if listed == digest]
    if not absent or not (bundle / MODEL).is_file() or sha256_of(bundle / MODEL) != digest:
        return []
    return absent


def lost_folds(bundle: Path) -> list[str]:
    """Paths of the folds' weights that the manifest lists, that have no file, and that model.pt does not stand for."""
    stored = stored_as_model(bundle)
    return [name for name in _absent_folds(bundle) if name not in stored]


def _absent_folds(bundle: Path) -> dict[str, str]:
    """The folds' weights without a file of their own: path -> hash that the manifest lists."""
    absent = {}
    for name, digest in _listed(bundle).items():
        if fnmatchcase(name, FOLD_WEIGHTS) and not (bundle / name).is_file():
            absent[name] = digest
    return absent


def _listed(bundle: Path) -> dict[str, str]:
    manifest = read_manifest(bundle)
    return {} if manifest is None else manifest["files"]


def remove_signatures(bundle: Path) -> None:
    """Take away the signatures of a bundle that is about to change."""
    for name in SIGNATURES:
        (bundle / name).unlink(missing_ok=True)
