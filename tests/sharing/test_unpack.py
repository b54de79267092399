"""Archives from strangers: each kind of mischief is named, and nothing of it reaches the disk."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mist_bundle.bundle.manifest import file_hashes
from mist_bundle.errors import InputError
from mist_bundle.sharing.pack import pack_bundle
from mist_bundle.sharing.unpack import unpack_bundle
from mist_bundle.trust.audit.run import audit_bundle

TOP = "phantom_mr2_segmentation"


@pytest.fixture(scope="module")
def good_zip(fresh_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_bundle(fresh_bundle, tmp_path_factory.mktemp("zip") / "good.zip").file


def _read(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def _with_member(name: str) -> Callable[[dict[str, bytes], Path], None]:
    def change(contents: dict[str, bytes], path: Path) -> None:
        _write(path, {**contents, name: b"x"})

    return change


def _special(mode: int, **attributes: int) -> Callable[[dict[str, bytes], Path], None]:
    def change(contents: dict[str, bytes], path: Path) -> None:
        _write(path, contents)
        info = zipfile.ZipInfo(f"{TOP}/models/model.pt")
        info.create_system, info.external_attr = 3, mode << 16
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, b"/etc/hostname")

    return change


def _bomb(contents: dict[str, bytes], path: Path) -> None:
    _write(path, contents)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(f"{TOP}/models/model.pt", bytes(1 << 24))


def _twice(contents: dict[str, bytes], path: Path) -> None:
    _write(path, contents)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"{TOP}/LICENSE", b"another one")


def _method(contents: dict[str, bytes], path: Path) -> None:
    _write(path, contents)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr(f"{TOP}/models/model.pt", b"x" * 100)


def _patch_central(path: Path, name: str, offset: int, value: bytes) -> None:
    """Write bytes at an offset of the central directory's record of a member, as only forged archives have them."""
    data = bytearray(path.read_bytes())
    start = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    data[start + offset : start + offset + len(value)] = value
    path.write_bytes(bytes(data))


def _encrypted(contents: dict[str, bytes], path: Path) -> None:
    _write(path, contents)
    _patch_central(path, f"{TOP}/scripts/transforms/volume.py", 8, struct.pack("<H", 1))


def _larger_than_it_is(contents: dict[str, bytes], path: Path) -> None:
    _write(path, contents)
    _patch_central(path, f"{TOP}/scripts/transforms/volume.py", 24, struct.pack("<I", 10**8))


def _other_name_inside(contents: dict[str, bytes], path: Path) -> None:
    _write(path, contents)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"transforms/volume.py", b"transforms/vodume.py", 1))


def _terabyte(contents: dict[str, bytes], path: Path) -> None:
    _write(path, contents)
    # 40 files that share the bytes of one, each said to have four gigabytes
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for index in range(40):
            archive.writestr(f"{TOP}/models/fold_{index}.pt", b"x" * 5000)
            archive.filelist[-1].file_size = 2**32 - 2


def _overlapping(contents: dict[str, bytes], path: Path) -> None:
    _write(path, {name: content for name, content in contents.items() if len(content) < 3000})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{TOP}/models/model.pt", bytes(range(256)) * 4000)
        first = archive.filelist[-1]
        for index in range(9):
            copy = zipfile.ZipInfo(f"{TOP}/models/fold_{index}.pt")
            copy.header_offset, copy.CRC = first.header_offset, first.CRC
            copy.compress_size, copy.file_size = first.compress_size, first.file_size
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy


MISCHIEF: dict[str, tuple[Callable[[dict[str, bytes], Path], None], str]] = {
    "climbs out": (_with_member(f"{TOP}/../../evil.py"), "leads out"),
    "climbs out by dots": (_with_member(f"{TOP}/./models/evil.py"), "leads out"),
    "absolute": (_with_member("/elsewhere/evil.py"), "absolute path"),
    "absolute on Windows": (_with_member(f"{TOP}/C:evil.py"), "absolute path"),
    "backslash": (_with_member(f"{TOP}\\..\\evil.py"), "absolute path"),
    "control character": (_with_member(f"{TOP}/evil\x07.py"), "absolute path"),
    "device name": (_with_member(f"{TOP}/models/nul.pt"), "reserve"),
    "trailing dot": (_with_member(f"{TOP}/models/model.pt."), "reserve"),
    "long name": (_with_member(f"{TOP}/models/{'x' * 300}"), "cannot store"),
    "two folders": (_with_member("other/evil.py"), "expected a single folder"),
    "file at the top": (_with_member("evil.py"), "expected a single folder"),
    "compiled Python": (_with_member(f"{TOP}/scripts/__pycache__/volume.cpython-311.pyc"), "compiled Python"),
    "compiled Python in the open": (_with_member(f"{TOP}/scripts/transforms/volume.pyc"), "compiled Python"),
    "hidden file": (_with_member(f"{TOP}/.git/hooks/post-checkout"), "hidden"),
    "symbolic link": (_special(stat.S_IFLNK | 0o777), "link or a device"),
    "named pipe": (_special(stat.S_IFIFO | 0o644), "link or a device"),
    "bomb": (_bomb, "zip bomb"),
    "terabyte": (_terabyte, "zip bomb"),
    "overlapping": (_overlapping, "overlap"),
    "twice": (_twice, "occurs twice"),
    "differs in case": (_with_member(f"{TOP}/license"), "only in case"),
    "file and folder": (_with_member(f"{TOP}/LICENSE/evil.py"), "file and a folder"),
    "other compression": (_method, "compressed by a method"),
    "encrypted": (_encrypted, "encrypted"),
    "longer than it is": (_larger_than_it_is, "zip bomb"),
    "two names for one": (_other_name_inside, "is not a zip file that can be read"),
    "not listed": (_with_member(f"{TOP}/scripts/extra.py"), "is not in MANIFEST.json"),
}


@pytest.mark.parametrize("name", MISCHIEF)
def test_mischief_is_named_and_leaves_nothing_behind(good_zip: Path, tmp_path: Path, name: str) -> None:
    change, message = MISCHIEF[name]
    archive = tmp_path / "bad.zip"
    change(_read(good_zip), archive)
    receiver = tmp_path / "in" / "receiver"
    receiver.mkdir(parents=True)
    with pytest.raises(InputError, match=message):
        unpack_bundle(archive, receiver, trust=True)
    assert [path for path in tmp_path.rglob("*") if path.name not in ("bad.zip", "in", "receiver")] == []
    if name != "not listed":  # which the audit mentions, and no program runs
        assert not audit_bundle(archive).passed


def test_everything_comes_back(good_zip: Path, fresh_bundle: Path, tmp_path: Path) -> None:
    bundle = unpack_bundle(good_zip, tmp_path / "new" / "folder")
    assert bundle == tmp_path / "new/folder" / TOP
    assert file_hashes(bundle) == file_hashes(fresh_bundle)
    assert not any(path.stat().st_mode & 0o111 for path in bundle.rglob("*") if path.is_file())


def test_every_change_is_named(good_zip: Path, tmp_path: Path) -> None:
    contents = _read(good_zip)
    contents[f"{TOP}/configs/train.json"] += b" "
    del contents[f"{TOP}/docs/README.md"]
    with pytest.raises(InputError) as refused:
        unpack_bundle(_write(tmp_path / "x.zip", contents), tmp_path / "in", trust=True)
    assert "configs/train.json: was changed" in str(refused.value)
    assert "docs/README.md: is missing" in str(refused.value)
    assert not (tmp_path / "in" / TOP).exists()


def test_without_manifest_only_when_trusted(good_zip: Path, tmp_path: Path) -> None:
    contents = _read(good_zip)
    del contents[f"{TOP}/MANIFEST.json"]
    archive = _write(tmp_path / "x.zip", contents)
    with pytest.raises(InputError, match="--trust"):
        unpack_bundle(archive, tmp_path / "in")
    assert (unpack_bundle(archive, tmp_path / "in", trust=True) / "configs/train.json").is_file()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"{}"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InputError, match="is not a zip file"):
        unpack_bundle(tmp_path / "x.zip", tmp_path / "in")
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack_bundle(tmp_path / "missing.zip", tmp_path / "in")


def test_truncated_archive_is_refused(good_zip: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(good_zip.read_bytes()[:-40])
    with pytest.raises(InputError, match="is not a zip file"):
        unpack_bundle(tmp_path / "x.zip", tmp_path / "in")


def test_existing_bundle_is_kept(good_zip: Path, tmp_path: Path) -> None:
    bundle = unpack_bundle(good_zip, tmp_path)
    (bundle / "models").mkdir(exist_ok=True)
    (bundle / "models/model.pt").write_bytes(b"precious")
    with pytest.raises(InputError, match="--overwrite"):
        unpack_bundle(good_zip, tmp_path)
    assert (bundle / "models/model.pt").read_bytes() == b"precious"
    unpack_bundle(good_zip, tmp_path, overwrite=True)
    assert not (bundle / "models/model.pt").exists()


def test_no_bundle_inside(tmp_path: Path) -> None:
    archive = _write(tmp_path / "x.zip", {"photos/a.txt": b"x", "photos/MANIFEST.json": json.dumps({}).encode()})
    with pytest.raises(InputError, match="not a MONAI bundle"):
        unpack_bundle(archive, tmp_path / "in")
