"""Writing whole files or none, and telling files apart by what is in them. Standard library only."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

UNFINISHED = ".partial"  # how the names of files end that are still being written
_SHOWN_OF_NAME = 50  # characters of a name, of four bytes at most; a name may have 255 bytes


def write_whole(
    path: Path, write: Callable[[IO[bytes]], object], ready: Callable[[Path], object] | None = None
) -> None:
    """Write a file beside its place, flush it to the disk and rename it: it appears complete or not at all.

    Args:
        path: the file; its folder is created.
        write: fills the open file.
        ready: called with the complete file before it is renamed.

    Raises:
        OSError: the disk is full, the folder is read-only …; what was at `path` is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # cut, so that a file whose own name is as long as names may be can be written too
    prefix = f".{path.name[:_SHOWN_OF_NAME]}."
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~umask())
        if ready is not None:
            ready(Path(temporary))
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:  # the error of a full disk does not name the file that did not fit
            error.filename = str(path)
        raise
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """`write_whole` for bytes."""
    write_whole(path, lambda stream: stream.write(content))


def copy_whole(source: Path, target: Path) -> None:
    """`write_whole` with the content of another file."""
    with source.open("rb") as opened:
        write_whole(target, lambda stream: shutil.copyfileobj(opened, stream, 1 << 20))


def json_text(value: Any) -> str:
    """JSON in the format of this project: two spaces, a newline at the end, no NaN."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """`write_whole` for JSON."""
    write_bytes(path, json_text(value).encode("utf-8"))


def object_or_none(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None where there is no such file, or no object in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file, or no object in it."""
    return object_or_none(path) or {}


def sha256_of(path: Path) -> str:
    """Hash of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_bytes(content: bytes) -> str:
    """Hash of content in memory, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def umask() -> int:
    """Permissions that new files of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
