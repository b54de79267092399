"""Files appear whole or not at all, with the permissions of any new file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from mist_bundle.runtime.folds.files import (
    UNFINISHED,
    copy_whole,
    sha256_of,
    sha256_of_bytes,
    umask,
    write_bytes,
    write_json,
    write_whole,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.bin"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["a.bin"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), OSError(errno.ENOSPC, "full")])
def test_what_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write(stream: IO[bytes]) -> None:
        stream.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write_whole(path, write)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_the_error_of_a_full_disk_names_the_file(tmp_path: Path) -> None:
    def write(stream: IO[bytes]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*a\.bin'"):
        write_whole(tmp_path / "a.bin", write)


def test_the_complete_file_is_shown_before_it_is_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    seen: list[Any] = []

    def ready(temporary: Path) -> None:
        seen.append((temporary.parent, temporary.name.endswith(UNFINISHED), temporary.read_bytes(), path.exists()))

    write_whole(path, lambda stream: stream.write(b"new"), ready)
    assert seen == [(tmp_path, True, b"new", False)]


@pytest.mark.parametrize("name", ["x" * 251 + ".bin", "ä" * 125 + ".bin"])
def test_names_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b"new")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_those_of_new_files(tmp_path: Path, mask: int) -> None:
    former = os.umask(mask)
    try:
        write_bytes(tmp_path / "a.bin", b"")
        assert umask() == mask
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o666 & ~mask


def test_json_is_readable_and_has_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"name": "Größe", "values": [1, 2.5]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Größe", "values": [1, 2.5]}
    assert "Größe" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, float("nan"))
    assert "Größe" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("length", [0, 1, 3 << 20])
def test_hashes_and_copies_of_any_length(tmp_path: Path, length: int) -> None:
    content = bytes(range(256)) * (length // 256 + 1)
    (tmp_path / "a").write_bytes(content[:length])
    copy_whole(tmp_path / "a", tmp_path / "b")
    expected = hashlib.sha256(content[:length]).hexdigest()
    digest: Callable[[str], str] = lambda name: sha256_of(tmp_path / name)  # noqa: E731
    assert digest("a") == digest("b") == sha256_of_bytes(content[:length]) == expected
