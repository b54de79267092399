"""Change files of a bundle all or nothing, safe against a kill at any moment.

1. Every new file is written beside its place, under a name that counts as unfinished.
2. The manifest gets an entry `pending` with the hashes that the files will have: from here on the publication happens.
3. Each file is renamed into its place.
4. The manifest lists the new hashes, and `pending` is gone.

A kill before 2 leaves the bundle as it was; a kill after it leaves a bundle in which every file is listed, in its old
or new state, and `finish` carries out what is left. A lock that dies with its holder keeps publications apart.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .files import UNFINISHED, copy_whole, sha256_of, sha256_of_bytes, write_bytes
from .locks import LockedError, locked
from .manifest import (
    MANIFEST,
    MODEL,
    PENDING,
    counts_in_manifest,
    file_hashes,
    read_manifest,
    remove_signatures,
    stored_as_model,
    write_manifest_content,
)

logger = logging.getLogger(__name__)

LOCK = f"models/.publishing{UNFINISHED}"
WAIT_SECONDS = 600.0
CARD, CARD_COPY = "docs/README.md", "README.md"  # the copy, of a bundle that was signed, is always that of the card
_STAGED = f".staged{UNFINISHED}"
_BEING_WRITTEN = re.compile(rf"\.(.+)\.[a-z0-9_]{{8}}{re.escape(UNFINISHED)}")  # as `write_whole` names it
# what a publication may write: a bundle from elsewhere, opened here, must not name other places
_NAMES = re.compile(
    r"README\.md|models/[\w-][\w.-]*|docs/(README\.md|(export|sbom\.cdx|training)\.json)|configs/(metadata|postprocessing|confidence)\.json"
)

Content = bytes | Path | None


class PublicationError(RuntimeError):
    """A bundle cannot be published to; the message says which file and why."""


def publish(bundle: Path, files: Mapping[str, Content], *, renew: bool = False) -> list[str]:
    """Replace files of a bundle, and its manifest with them, all or nothing.

    A signature over the former manifest is removed.

    Args:
        bundle: its folder.
        files: path in the bundle -> new content, a file to copy, or None for a file that goes.
        renew: list all files as they are now, and not only those that are replaced; a bundle without a manifest then
            has a manifest.

    Returns:
        The paths that changed.

    Raises:
        PublicationError: another publication does not end, or a path must not be published.
        OSError: the disk is full, the folder is read-only …; the bundle is unchanged.
    """
    refused = [name for name in files if not _may_be_published(name)]
    if refused:
        raise PublicationError(
            f"{bundle}: {', '.join(refused)} cannot be published; only weights, card, metadata, post-processing, "
            "calibration, reports of training and export, and the bill of materials can."
        )
    with _publishing(bundle):
        _finish(bundle)
        _remove_staged(bundle)
        stored_once = stored_as_model(bundle)
        if (renew or CARD in files) and _has_copy_of_card(bundle):
            files = {**files, CARD_COPY: files.get(CARD, bundle / CARD)}
        if MODEL in files:  # other weights take its place: the folds that it stood for get files of their own
            files = {**dict.fromkeys(stored_once, bundle / MODEL), **files}
        changes = _stage(bundle, files)
        manifest = read_manifest(bundle)
        if manifest is None:
            _carry_out(bundle, changes)
            if renew:
                write_manifest_content(bundle, file_hashes(bundle), None)
            return sorted(changes)
        listed = dict(manifest["files"])
        if renew:
            listed |= file_hashes(bundle)
            for name in list(listed):
                if not _is_kept(bundle, name, stored_once):
                    del listed[name]
        if changes or listed != manifest["files"]:
            remove_signatures(bundle)
            write_manifest_content(bundle, listed, changes)
            _complete(bundle, listed, changes)
        return sorted(changes)


def _has_copy_of_card(bundle: Path) -> bool:
    """Whether the manifest knows README.md as a copy of the card, and nobody has edited it since."""
    manifest = read_manifest(bundle)
    digest = "" if manifest is None else manifest["files"].get(CARD_COPY, "")
    if manifest is None or not digest or manifest["files"].get(CARD) != digest:
        return False
    copy = bundle / CARD_COPY
    return (bundle / CARD).is_file() and copy.is_file() and sha256_of(copy) == digest


def _is_kept(bundle: Path, name: str, stored_once: Sequence[str]) -> bool:
    """Whether a file of the former manifest is in the renewed manifest too."""
    return counts_in_manifest(name) and ((bundle / name).is_file() or name in stored_once)


def finish(bundle: Path) -> bool:
    """Carry out what is left of an interrupted publication; returns whether there was any.

    Raises:
        PublicationError: a publication is under way and does not end, or a file of the interrupted publication is lost.
        OSError: the folder is read-only, or the disk is full.
    """
    manifest = read_manifest(bundle)
    if manifest is None or PENDING not in manifest:
        return False
    with _publishing(bundle):
        return _finish(bundle)


@contextmanager
def _publishing(bundle: Path) -> Iterator[None]:
    try:
        with locked(bundle / LOCK, WAIT_SECONDS, remove=True):
            yield
    except LockedError as error:
        message = f"{bundle} is being published to by {error.holder}, for more than {WAIT_SECONDS:.0f} seconds."
        raise PublicationError(message) from error


def _finish(bundle: Path) -> bool:
    manifest = read_manifest(bundle)  # once more, now that nobody else writes it
    if manifest is None or PENDING not in manifest:
        return False
    pending = manifest[PENDING]
    if not isinstance(pending, dict) or not all(_may_be_published(name) for name in pending):
        raise PublicationError(f"{bundle / MANIFEST}: what it lists as pending is not a publication of this package.")
    logger.info("Finishing the interrupted publication of %s.", ", ".join(pending))
    _complete(bundle, manifest["files"], pending)
    return True


def _complete(bundle: Path, listed: Mapping[str, str], changes: Mapping[str, str | None]) -> None:
    _carry_out(bundle, changes)
    files = dict(listed)
    for name, digest in changes.items():
        if digest is None:
            files.pop(name, None)
        else:
            files[name] = digest
    write_manifest_content(bundle, files, None)


def _stage(bundle: Path, files: Mapping[str, Content]) -> dict[str, str | None]:
    """Write the new files beside their places; path -> new hash, of those that differ from what is there."""
    changes: dict[str, str | None] = {}
    for name, content in files.items():
        target = bundle / name
        digest = content if content is None else _digest(content)
        if digest == (sha256_of(target) if target.is_file() else None):
            continue
        changes[name] = digest
        if content is None:
            continue
        if isinstance(content, Path):
            copy_whole(content, _staged(target))
        else:
            write_bytes(_staged(target), content)
    return changes


def _carry_out(bundle: Path, changes: Mapping[str, str | None]) -> None:
    for name, digest in changes.items():
        target = bundle / name
        if digest is None:
            target.unlink(missing_ok=True)
        elif _staged(target).is_file() and sha256_of(_staged(target)) == digest:
            os.replace(_staged(target), target)
        elif not (target.is_file() and sha256_of(target) == digest):
            raise PublicationError(
                f"{target}: the publication of this file was interrupted, and {_staged(target).name} beside it, from "
                "which it could be finished, is lost. Publish again from the work folder, or train this fold again."
            )


def _remove_staged(bundle: Path) -> None:
    """Remove what publications left behind that were killed before they happened."""
    for pattern in (f"*/.*{_STAGED}*", f".{MANIFEST}.*{UNFINISHED}"):
        for path in bundle.glob(pattern):
            path.unlink(missing_ok=True)


def published_name(name: str) -> str:
    """The path that a staged file will have once its publication is carried out; any other path as it is."""
    folder, slash, leaf = name.rpartition("/")
    if leaf.startswith(".") and leaf.endswith(_STAGED):
        return f"{folder}{slash}{leaf[1 : -len(_STAGED)]}"
    return name


def written_name(name: str) -> str:
    """The path that a file will have once it is written to its end, and published; any other path as it is."""
    folder, slash, leaf = name.rpartition("/")
    being_written = _BEING_WRITTEN.fullmatch(leaf)
    return published_name(f"{folder}{slash}{being_written[1]}" if being_written else name)


def _staged(target: Path) -> Path:
    return target.with_name(f".{target.name}{_STAGED}")


def _digest(content: bytes | Path) -> str:
    return sha256_of(content) if isinstance(content, Path) else sha256_of_bytes(content)


def _may_be_published(name: object) -> bool:
    return isinstance(name, str) and _NAMES.fullmatch(name) is not None
