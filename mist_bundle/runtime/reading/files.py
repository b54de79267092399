"""What is true of every kind of image file: it is there, it is a regular file, and this machine can hold it."""

from __future__ import annotations

import stat
from pathlib import Path

from ..numerics.memory import total_memory
from .volume import UnreadableFileError


def require_file(path: Path) -> None:
    """Refuse what is not a regular file with something in it: a pipe or device could be endless.

    Raises:
        UnreadableFileError: it is absent, a folder, a device, or empty.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadableFileError(path.name, f"cannot be read ({error.strerror or error}).") from error
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableFileError(path.name, "is a folder; expected an image file.")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFileError(path.name, "is not a regular file (a pipe or device). Put an image file there.")
    if status.st_size == 0:
        raise UnreadableFileError(path.name, "is empty (0 bytes). Copy the file again.")


def check_memory(path: Path, num_bytes: int) -> None:
    """Refuse voxels that this machine cannot hold.

    Raises:
        UnreadableFileError: they need more bytes than there is memory.
    """
    memory = total_memory()
    if num_bytes > memory:
        message = f"holds {num_bytes / 1e9:.0f} GB of voxels; the memory of this machine is {memory / 1e9:.0f} GB."
        raise UnreadableFileError(path.name, message)
