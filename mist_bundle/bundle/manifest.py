"""MANIFEST.json: the sha256 of every file of a bundle, so that a receiver can detect changes.

runtime/folds, which travels with the bundle, defines which files count, how they are hashed and how a publication
changes the manifest. This module compares the complete bundle with its manifest, linked scripts included.
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
from mist_bundle.files import MANIFEST_JSON, MODEL_PT, SCRIPTS_FOLDER
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.manifest import (
    ALGORITHM,
    FOLD_WEIGHTS,
    LINKED,
    PENDING,
    accepted_hashes,
    counts_in_manifest,
    remove_signatures,
    stored_as_model,
    write_manifest_content,
)
from mist_bundle.runtime.folds.weights import kept_name

# the hashes that each file may have; None if it may be missing
Accepted = Mapping[str, Collection[str | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """Content of a manifest.

    Attributes:
        files: path in the bundle -> sha256.
        linked: folder -> its link target; its files are not among `files`.
        pending: path -> sha256 after the publication under way; None for a file that it removes.
    """

    files: Mapping[str, str]
    linked: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Read the text of a manifest.

        Raises:
            InputError: the text is not a manifest.
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
        """Read the manifest of a bundle.

        Raises:
            InputError: the manifest is missing or damaged.
        """
        try:
            return cls.parse((bundle / MANIFEST_JSON).read_bytes())
        except OSError as error:
            message = f"cannot be read ({error.strerror or error})."
            raise InputError(Problem(str(bundle / MANIFEST_JSON), message)) from error

    @property
    def links_scripts(self) -> bool:
        """Whether the scripts are a link to the mist_bundle beside the bundle."""
        return self.linked.get(SCRIPTS_FOLDER) == RUNTIME_LINK

    @property
    def complete(self) -> dict[str, str]:
        """The hashes of all files, including those of linked scripts."""
        hashes = dict(self.files)
        if self.links_scripts:
            for name, digest in runtime_hashes().items():
                hashes[f"{SCRIPTS_FOLDER}/{name}"] = digest
        return hashes

    @property
    def kept_weights(self) -> tuple[str, ...]:
        """Files of earlier weights that were kept when model.pt was replaced; see `runtime.folds.weights.kept_name`."""
        kept = []
        for name, digest in sorted(self.files.items()):
            if name == f"{Path(MODEL_PT).parent.as_posix()}/{kept_name(digest)}":
                kept.append(name)
        return tuple(kept)

    def accepted(self, files: Mapping[str, str]) -> Accepted:
        """Return the hashes that each of `files` may have: the listed hash, and during a publication also the new."""
        return accepted_hashes({"files": files, PENDING: self.pending})

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file for a complete bundle."""
        return {"algorithm": ALGORITHM, "files": dict(sorted(self.files.items()))}


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A file that does not fit the manifest.

    Attributes:
        name: path in the bundle.
        kind: "unlisted", "missing" although listed, or "changed" if its hash differs.
        actual: sha256 of the file; empty if it is missing.
        listed: the hashes that it may have; empty if the manifest does not list it.
    """

    name: str
    kind: Literal["unlisted", "missing", "changed"]
    actual: str = ""
    listed: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "unlisted":
            return f"is not in {MANIFEST_JSON}."
        if self.kind == "missing":
            return f"is missing; {MANIFEST_JSON} lists it."
        return f"was changed: its sha256 is {self.actual}, {MANIFEST_JSON} says {' or '.join(self.listed)}."


def compare(accepted: Accepted, actual: Mapping[str, str]) -> list[Difference]:
    """List the differences between the hashes that a manifest accepts and those of the files, sorted by path."""
    result = []
    for name in sorted(accepted.keys() | actual.keys()):
        expected = accepted.get(name, ())
        listed = tuple(sorted(digest for digest in expected if digest is not None))
        if name not in accepted:
            result.append(Difference(name=name, kind="unlisted", actual=actual[name]))
        elif name not in actual:
            if None not in expected:
                result.append(Difference(name=name, kind="missing", listed=listed))
        elif actual[name] not in expected:
            result.append(Difference(name=name, kind="changed", actual=actual[name], listed=listed))
    return result


def differences(bundle: Path) -> list[Difference]:
    """List how the files of a bundle differ from its manifest.

    Raises:
        InputError: the bundle has no manifest, or there is a link among its files.
    """
    manifest = Manifest.read(bundle)
    return compare(manifest.accepted(manifest.complete), file_hashes(bundle))


def bundle_contents(bundle: Path) -> dict[str, Path]:
    """List the files of the complete bundle: path in the bundle -> file that holds its bytes.

    Raises:
        InputError: there is a link among the files.
    """
    files = plain_files(bundle)
    for name in stored_as_model(bundle):
        files[name] = files[MODEL_PT]
    return dict(sorted(files.items()))


def fold_files(bundle: Path) -> list[Path]:
    """List the weights of all folds of a bundle, in order; model.pt stands for a fold of equal content.

    Raises:
        InputError: there is a link among the files.
    """
    return [path for name, path in bundle_contents(bundle).items() if fnmatchcase(name, FOLD_WEIGHTS)]


def file_hashes(bundle: Path) -> dict[str, str]:
    """Hash every file of the complete bundle: path in the bundle -> sha256.

    Raises:
        InputError: there is a link among the files.
    """
    hashes: dict[str, str] = {}
    for name, path in bundle_contents(bundle).items():
        if counts_in_manifest(name):
            hashes[name] = sha256_of(path)
    return hashes


def write_manifest(bundle: Path) -> None:
    """Write MANIFEST.json for the current files and remove a signature of the former manifest.

    Raises:
        InputError: there is a link among the files.
    """
    hashes = file_hashes(bundle)
    if linked_runtime(bundle) is not None:
        hashes = {name: value for name, value in hashes.items() if not name.startswith(f"{SCRIPTS_FOLDER}/")}
    write_manifest_content(bundle, hashes, None)
    remove_signatures(bundle)


def _is_pending(value: Any) -> TypeGuard[dict[str, str | None]]:
    return isinstance(value, dict) and all(digest is None or isinstance(digest, str) for digest in value.values())


def _is_text_map(value: Any) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
