"""A folder and a zip of the same bundle give the same files; links, devices and damage are named."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from mist_bundle.bundle.vendor import RUNTIME
from mist_bundle.errors import InputError
from mist_bundle.sharing.pack import pack_bundle
from mist_bundle.trust.audit import bundle_files
from mist_bundle.trust.audit.bundle_files import UnreadableFile, open_bundle


def test_folder_and_zip_are_alike(fresh_bundle: Path, tmp_path: Path) -> None:
    folder, archive = open_bundle(fresh_bundle), open_bundle(pack_bundle(fresh_bundle, tmp_path / "x.zip").file)
    assert not folder.is_zip
    assert archive.is_zip
    present = [name for name in folder.names() if "__pycache__" not in name]
    assert present == archive.names()
    assert [folder.sizes[name] for name in present] == [archive.sizes[name] for name in present]
    for name in ("LICENSE", "scripts/losses/dice.py"):
        content = (fresh_bundle / name).read_bytes()
        assert folder.read(name, 1 << 20) == archive.read(name, 1 << 20) == content
        assert folder.read(name, 10) == content[:10]
        assert folder.sha256(name) == archive.sha256(name) == hashlib.sha256(content).hexdigest()


def test_links_and_pipes_are_named_and_not_among_the_files(own_bundle: Path) -> None:
    (own_bundle / "docs/link").symlink_to("/etc/passwd")
    (own_bundle / "models/folder").symlink_to("/etc", target_is_directory=True)
    os.mkfifo(own_bundle / "models/pipe")
    files = open_bundle(own_bundle)
    found = {(finding.code, finding.file) for finding in files.findings}
    assert found == {("link", "docs/link"), ("link", "models/folder"), ("special-file", "models/pipe")}
    assert not {"docs/link", "models/folder", "models/pipe"} & files.sizes.keys()


def test_linked_scripts_are_read_where_they_lie(linked_bundle: Path) -> None:
    files = open_bundle(linked_bundle)
    assert not files.findings
    assert files.read("scripts/losses/dice.py", 1 << 20) == (RUNTIME / "losses/dice.py").read_bytes()


def test_what_is_not_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").write_text("x")
    for path, message in ((tmp_path / "text", "neither a folder nor a zip"), (tmp_path / "gone", "is not there")):
        with pytest.raises(InputError, match=message):
            open_bundle(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="is not a bundle"):
        open_bundle(tmp_path / "empty")
    monkeypatch.setattr(bundle_files, "MAX_FILES", 1)
    for name in "abc":
        (tmp_path / "empty" / name).write_text("x")
    with pytest.raises(InputError, match="more than 1 files"):
        open_bundle(tmp_path / "empty")


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b/configs/a.json", b"0123456789" * 10)
    path.write_bytes(path.read_bytes().replace(b"0123456789" * 10, b"0123456789" * 9 + b"123456789_"))
    with pytest.raises(UnreadableFile, match=r"configs/a\.json"):
        open_bundle(path).read("configs/a.json", 1 << 20)
