"""Locks that die with their holder: the operating system lets go of them, whatever ends the process.

They are record locks (`fcntl.lockf`), which work between the machines of a shared file system and are not inherited by
the processes that a training starts; on Windows, byte locks of the C runtime.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_POLL_SECONDS = 0.1
_held: set[Path] = set()  # a process may take a record lock twice without noticing


class LockedError(Exception):
    """Someone else holds a lock; `holder` says who, as far as it is known."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is held by {holder}")
        self.path = path
        self.holder = holder


class Lock:
    """A lock on a file, which is created where it does not exist.

    Args:
        path: the file; it holds who has the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, wait_seconds: float = 0.0) -> None:
        """Take the lock; wait up to `wait_seconds` for another holder.

        Raises:
            LockedError: someone else still holds it.
        """
        until = time.monotonic() + wait_seconds
        while not self._try():
            if time.monotonic() >= until:
                raise LockedError(self.path, _holder(self.path))
            time.sleep(_POLL_SECONDS)

    def _try(self) -> bool:
        key = self.path.absolute()
        if key in _held:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(handle) or not _is_at(handle, self.path):  # or its former holder removed it meanwhile
            os.close(handle)
            return False
        note = json.dumps({"process": os.getpid(), "host": socket.gethostname()}).encode()
        os.ftruncate(handle, 0)
        os.pwrite(handle, note, 0) if hasattr(os, "pwrite") else os.write(handle, note)
        self._handle = handle
        _held.add(key)
        return True

    def release(self, *, remove: bool = False) -> None:
        """Let go of the lock; with `remove`, no file is left behind."""
        if self._handle is None:
            return
        if remove and sys.platform != "win32":
            self.path.unlink(missing_ok=True)
        os.close(self._handle)
        self._handle = None
        _held.discard(self.path.absolute())


def is_held(path: Path) -> bool:
    """Whether some process holds the lock of a file right now."""
    if path.absolute() in _held:
        return True  # opening and closing the file here would let go of it
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False  # it does not exist, or nobody may take it
    try:
        return not _lock(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, wait_seconds: float = 0.0, *, remove: bool = False) -> Iterator[None]:
    """Hold the lock of a file while the block runs.

    Raises:
        LockedError: someone else holds it, after `wait_seconds`.
    """
    lock = Lock(path)
    lock.acquire(wait_seconds)
    try:
        yield
    finally:
        lock.release(remove=remove)


def _lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_at(handle: int, path: Path) -> bool:
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), status)


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return f"process {note['process']} on {note['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
