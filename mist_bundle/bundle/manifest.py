"""MANIFEST.json: the sha256 of every file of a bundle, so that a receiver sees what was changed since.

What counts, how it is hashed and how a publication changes it stands in runtime/folds, which travels with the bundle.
Here is what only this package does: compare the complete bundle with its manifest, linked scripts included.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, TypeGuard

from mist_bundle.bundle.contents import plain_files
from mist_bundle.bundle.vendor import RUNTIME_LINK, linked_runtime, runtime_hashes
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import MANIFEST_JSON, MODEL_PT, SCRIPTS_FOLDER, SIGNATURE
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.manifest import (
    ALGORITHM,
    FOLD_WEIGHTS,
    LINKED,
    PENDING,
    accepted_hashes,
    counts_in_manifest,
    stored_as_model,
    write_manifest_content,
)

# the hashes that each file may have; None where it may be missing
Accepted = Mapping[str, Collection[str | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a manifest says.

    Attributes:
        files: sha256 of each file, by its path in the bundle.
        linked: folder -> what it links to; its files are not among `files`.
        pending: sha256 that a publication under way gives a file; None for one that it takes away.
    """

    files: Mapping[str, str]
    linked: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Read the text of a manifest.

        Raises:
            InputError: it is not a manifest.
        """
        try:
            value: Any = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(Problem(MANIFEST_JSON, f"is not valid JSON ({error}).")) from error
        fields = value if isinstance(value, dict) else {}
        files, linked, pending = fields.get("files"), fields.get(LINKED, {}), fields.get(PENDING) or {}
        is_sha256 = fields.get("algorithm") == ALGORITHM
        if is_sha256 and _is_text_map(files) and _is_text_map(linked) and _is_pending(pending):
            return cls(files=files, linked=linked, pending=pending)
        raise InputError(Problem(MANIFEST_JSON, "is not a manifest: expected 'algorithm': 'sha256' and 'files'."))

    @classmethod
    def read(cls, bundle: Path) -> Manifest:
        """The manifest of a bundle.

        Raises:
            InputError: there is none, or it is damaged.
        """
        try:
            return cls.parse((bundle / MANIFEST_JSON).read_bytes())
        except OSError as error:
            message = f"cannot be read ({error.strerror or error})."
            raise InputError(Problem(str(bundle / MANIFEST_JSON), message)) from error

    @property
    def links_scripts(self) -> bool:
        """Whether the scripts are those of a mist_bundle beside the bundle."""
        return self.linked.get(SCRIPTS_FOLDER) == RUNTIME_LINK

    @property
    def complete(self) -> dict[str, str]:
        """The hashes of all files, those of linked scripts included."""
        scripts = {f"{SCRIPTS_FOLDER}/{name}": value for name, value in runtime_hashes().items()}
        return {**self.files, **scripts} if self.links_scripts else dict(self.files)

    def accepted(self, files: Mapping[str, str]) -> Accepted:
        """The hashes that each of `files` may have while a publication is under way, and else the listed one."""
        return accepted_hashes({"files": files, PENDING: self.pending})

    def to_json(self) -> dict[str, Any]:
        """What the file of a complete bundle holds."""
        return {"algorithm": ALGORITHM, "files": dict(sorted(self.files.items()))}


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A file that does not fit the manifest.

    Attributes:
        name: its path in the bundle.
        kind: whether it is not listed, listed and missing, or has another hash.
        found: its sha256; empty where it is missing.
        listed: the hashes that it may have; empty where the manifest does not list it.
    """

    name: str
    kind: Literal["unlisted", "missing", "changed"]
    found: str = ""
    listed: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "unlisted":
            return f"is not in {MANIFEST_JSON}."
        if self.kind == "missing":
            return f"is missing; {MANIFEST_JSON} lists it."
        return f"was changed: its sha256 is {self.found}, {MANIFEST_JSON} says {' or '.join(self.listed)}."


def compare(accepted: Accepted, found: Mapping[str, str]) -> list[Difference]:
    """All differences between the hashes that a manifest accepts and those of the files, sorted by path."""
    result = []
    for name in sorted(accepted.keys() | found.keys()):
        expected = accepted.get(name, ())
        listed = tuple(sorted(digest for digest in expected if digest is not None))
        if name not in accepted:
            result.append(Difference(name=name, kind="unlisted", found=found[name]))
        elif name not in found and None not in expected:
            result.append(Difference(name=name, kind="missing", listed=listed))
        elif name in found and found[name] not in expected:
            result.append(Difference(name=name, kind="changed", found=found[name], listed=listed))
    return result


def differences(bundle: Path) -> list[Difference]:
    """How the files of a bundle differ from its manifest.

    Raises:
        InputError: there is no manifest, or a link among the files.
    """
    manifest = Manifest.read(bundle)
    return compare(manifest.accepted(manifest.complete), file_hashes(bundle))


def bundle_contents(bundle: Path) -> dict[str, Path]:
    """Every file of the complete bundle by its path in it, and where its bytes lie.

    Raises:
        InputError: a link among the files.
    """
    files = plain_files(bundle)
    for name in stored_as_model(bundle):
        files[name] = files[MODEL_PT]
    return dict(sorted(files.items()))


def fold_files(bundle: Path) -> list[Path]:
    """The weights of all folds of a bundle, in their order; model.pt where it stands for a fold.

    Raises:
        InputError: a link among the bundle's files.
    """
    return [path for name, path in bundle_contents(bundle).items() if fnmatchcase(name, FOLD_WEIGHTS)]


def file_hashes(bundle: Path) -> dict[str, str]:
    """sha256 of every file of the complete bundle, by its path in it.

    Raises:
        InputError: a link among the files.
    """
    return {name: sha256_of(path) for name, path in bundle_contents(bundle).items() if counts_in_manifest(name)}


def write_manifest(bundle: Path) -> None:
    """Write MANIFEST.json for the files as they are now; a signature over the former one is removed.

    Raises:
        InputError: a link among the files.
    """
    hashes = file_hashes(bundle)
    if linked_runtime(bundle) is not None:
        hashes = {name: value for name, value in hashes.items() if not name.startswith(f"{SCRIPTS_FOLDER}/")}
    write_manifest_content(bundle, hashes, None)
    (bundle / SIGNATURE).unlink(missing_ok=True)


def _is_pending(value: Any) -> TypeGuard[dict[str, str | None]]:
    return isinstance(value, dict) and all(digest is None or isinstance(digest, str) for digest in value.values())


def _is_text_map(value: Any) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
