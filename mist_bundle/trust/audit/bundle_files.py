"""Read the files of a bundle, a folder or a zip, without following links or unpacking anything to the disk."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mist_bundle.bundle.folder import not_a_bundle
from mist_bundle.bundle.vendor import is_own_runtime, linked_runtime
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import SCRIPTS_FOLDER
from mist_bundle.trust.archive import MAX_FILES, ZIP_ERRORS, archive_faults
from mist_bundle.trust.audit.finding import Finding, finding, printable, shown

_LEFT_BY_DOWNLOAD = re.compile(
    r"\.gitattributes|\.gitignore|"
    r"\.cache/huggingface/(\.gitignore|CACHEDIR\.TAG|(download|trees)/.+\.(metadata|lock|json))"
)


class UnreadableFile(Exception):
    """A file of the bundle could not be read; raised where its bytes are read and nowhere else."""

    def __init__(self, path: str, cause: Exception) -> None:
        self.path = path
        self.why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        super().__init__(f"{path}: {self.why}")


@dataclass(slots=True)
class BundleFiles:
    """The plain files of a bundle by their path in it, and the findings of the walk.

    Attributes:
        name: of the folder or archive.
        is_zip: whether they lie in a zip.
        sizes: path in the bundle -> size in bytes.
        findings: links, special files, bad archive members; those files are not among `sizes`.
    """

    name: str
    root: Path
    is_zip: bool
    sizes: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    _paths: dict[str, Path] = field(default_factory=dict)
    _members: dict[str, zipfile.ZipInfo] = field(default_factory=dict)

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file for reading; seekable. Damaged members of a zip raise ZIP_ERRORS while they are read."""
        if not self.is_zip:
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(self._paths[path], flags), "rb") as stream:
                yield stream
            return
        with zipfile.ZipFile(self.root) as archive, archive.open(self._members[path]) as stream:
            yield stream

    def read(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of a file.

        Raises:
            UnreadableFile: they cannot be read.
        """
        try:
            with self.open(path) as stream:
                return stream.read(limit)
        except ZIP_ERRORS as error:
            raise UnreadableFile(path, error) from error

    def sha256(self, path: str) -> str:
        """The digest of a file, in hexadecimal.

        Raises:
            UnreadableFile: it cannot be read.
        """
        digest = hashlib.sha256()
        try:
            with self.open(path) as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except ZIP_ERRORS as error:
            raise UnreadableFile(path, error) from error
        return digest.hexdigest()

    def names(self) -> list[str]:
        """Paths of all files, sorted."""
        return sorted(self.sizes)


def is_left_by_download(name: str) -> bool:
    """Whether a file of that path is what git and Hugging Face's client add to a download; nothing runs or reads it."""
    return _LEFT_BY_DOWNLOAD.fullmatch(name) is not None


def open_bundle(path: Path) -> BundleFiles:
    """Look at a folder or zip.

    Raises:
        InputError: it is neither, or holds no configs/ folder: there is nothing to audit.
    """
    if path.is_dir():
        files = _folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        files = _archive(path)
    else:
        problem = "is neither a folder nor a zip file" if path.exists() else "is not there"
        raise InputError(Problem(str(path), f"{problem}; expected a bundle's folder or zip."))
    if not files.findings and not any(name.startswith("configs/") for name in files.sizes):
        raise not_a_bundle(str(path))
    return files


def _folder(root: Path) -> BundleFiles:
    files = BundleFiles(name=root.absolute().name, root=root, is_zip=False)
    runtime = linked_runtime(root)
    _walk(files, root, "", skipped=set() if runtime is None else {SCRIPTS_FOLDER})
    if runtime is not None:
        # what is linked is looked at like any file; the compiled files beside this program's own sources are its own
        _walk(files, runtime, f"{SCRIPTS_FOLDER}/", skipped={"__pycache__"} if is_own_runtime(runtime) else set())
    return files


def _walk(files: BundleFiles, root: Path, prefix: str, skipped: set[str]) -> None:
    """Note every file below `root`, as `prefix` and its path there.

    Args:
        files: takes them.
        root: the folder.
        prefix: what stands before their paths.
        skipped: entries that are passed over: names of caches, or the known link.
    """
    pending = [root]
    while pending:
        folder = pending.pop()
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path)
            name = prefix + path.relative_to(root).as_posix()
            if entry.name in skipped and (entry.name == "__pycache__" or folder == root):
                continue
            if entry.is_symlink():
                files.findings.append(finding("link", name, "", f"It is a link to {shown(str(path.readlink()))}."))
            elif entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif entry.is_file(follow_symlinks=False):
                files.sizes[name] = entry.stat(follow_symlinks=False).st_size
                files._paths[name] = path
            else:
                files.findings.append(finding("special-file", name, "", "It is a device, pipe or socket."))
        if len(files.sizes) > MAX_FILES:
            raise InputError(Problem(str(root), f"holds more than {MAX_FILES} files; that is not a bundle."))


def _archive(path: Path) -> BundleFiles:
    files = BundleFiles(name=path.name, root=path, is_zip=True)
    try:
        with zipfile.ZipFile(path) as archive:
            faults = archive_faults(archive, path.stat().st_size)
            members = archive.infolist()
    except ZIP_ERRORS as error:
        files.findings.append(finding("zip-damaged", path.name, "", f"It cannot be opened ({error})."))
        return files
    for fault in faults:
        files.findings.append(finding(fault.code, path.name, fault.member, f"It {printable(fault.what)}"))
    if faults:  # a hostile archive is reported by its members; their content is not read
        return files
    for member in members:
        if not member.is_dir():
            name = member.filename.split("/", 1)[1]
            files.sizes[name] = member.file_size
            files._members[name] = member
    return files
