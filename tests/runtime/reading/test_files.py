"""What is refused of every kind of file before anything of it is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mist_bundle.runtime.reading.files import check_memory, require_file
from mist_bundle.runtime.reading.volume import UnreadableFileError


def test_only_a_file_with_content_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "content.nrrd").write_bytes(b"x")
    require_file(tmp_path / "content.nrrd")
    (tmp_path / "empty.nrrd").touch()
    (tmp_path / "folder.nrrd").mkdir()
    os.mkfifo(tmp_path / "pipe.nrrd")
    reasons = {"empty": "is empty", "folder": "is a folder", "pipe": "not a regular file", "absent": "cannot be read"}
    for name, reason in reasons.items():
        with pytest.raises(UnreadableFileError, match=reason):
            require_file(tmp_path / f"{name}.nrrd")


def test_more_voxels_than_memory_are_refused() -> None:
    check_memory(Path("small.nrrd"), 10**6)
    with pytest.raises(UnreadableFileError, match=r"huge\.nrrd holds 1000000000 GB of voxels"):
        check_memory(Path("huge.nrrd"), 10**18)
