"""Whether the files of a cache entry are still what was written: size, time of change and checksum of each.

Files whose size and time are those that were recorded are taken as they are, which costs a look at the folder and no
reading; the checksum decides where a file was touched since.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2**24  # bytes that are read at a time


def save_array(path: Path, array: NDArray[Any]) -> dict[str, int]:
    """Write a `.npy` file and flush it to the disk; returns its {"size", "mtime_ns", "crc32"}."""
    with path.open("wb") as stream:
        checked = _Checksum(stream)
        np.lib.format.write_array(checked, np.ascontiguousarray(array), allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "crc32": checked.value}


class _Checksum:
    """A stream to write to that sums up what passes through it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.value = 0

    def write(self, data: Any) -> int:
        self.value = zlib.crc32(data, self.value)
        return int(self._stream.write(data))


def damage(folder: Path, recorded: Mapping[str, Mapping[str, int]]) -> str:
    """What is wrong with the files of a folder; "" if nothing is.

    A file that was copied or touched but holds what was written gets its recorded time back.

    Args:
        folder: of the files.
        recorded: name -> what `save_array` said.
    """
    for name, expected in recorded.items():
        path = folder / name
        try:
            status = path.stat()
        except OSError as error:
            return f"{name}: {error.strerror}"
        if status.st_size != expected["size"]:
            return f"{name} has {status.st_size} bytes instead of {expected['size']}"
        if status.st_mtime_ns == expected["mtime_ns"]:
            continue
        if _crc32(path) != expected["crc32"]:
            return f"{name} was changed"
        try:
            os.utime(path, ns=(status.st_atime_ns, expected["mtime_ns"]))
        except OSError:
            continue  # a read-only copy is as good
    return ""


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value
