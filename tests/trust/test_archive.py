"""One policy for zip files: what unpack refuses, the audit refuses too, and for the same reason."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.sharing.pack import pack_bundle
from mist_bundle.sharing.unpack import unpack_bundle
from mist_bundle.trust import archive
from mist_bundle.trust.archive import archive_faults, top_folder
from mist_bundle.trust.audit.rules import RULES
from mist_bundle.trust.audit.run import audit_bundle


def _zip(path: Path, *names: str, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            opened.writestr(name, content)
    return path


def _codes(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as opened:
        return [fault.code for fault in archive_faults(opened, path.stat().st_size)]


def test_a_packed_bundle_has_no_faults(fresh_bundle: Path, tmp_path: Path) -> None:
    packed = pack_bundle(fresh_bundle, tmp_path / "x.zip").file
    assert _codes(packed) == []
    with zipfile.ZipFile(packed) as opened:
        assert top_folder(opened) == fresh_bundle.name


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("b/a", "/etc/x"), "zip-path"),
        (("b/a", "b/../../x"), "zip-path"),
        (("b/a", "b//x"), "zip-path"),
        (("b/a", "b/C:x"), "zip-path"),
        (("b/a", "b\\x"), "zip-path"),
        (("b/A", "b/a"), "zip-names"),
        (("b/\ufb01le", "b/file"), "zip-names"),  # a ligature, which NFKC takes apart
        (("b/e\u0301", "b/\u00e9"), "zip-names"),  # an accent of its own, and a letter with one
        (("b/a", "b/a/c"), "zip-names"),
        (("b/a", "b/aux.txt"), "zip-names"),
        (("b/a", "b/end."), "zip-names"),
        (("b/a", "b/" + "x" * 201), "zip-names"),
        (("b/a", "c/a"), "zip-layout"),
        (("b/a", "c"), "zip-layout"),
        ((".b/a",), "zip-layout"),
        ((), "zip-layout"),
        (("b/a", "b/.git/config"), "zip-layout"),
        (("b/a", "b/scripts/__pycache__/a.pyc"), "bytecode"),
    ],
)
def test_names_are_refused_by_both(names: tuple[str, ...], code: str, tmp_path: Path) -> None:
    path = _zip(tmp_path / "x.zip", *names)
    assert code in _codes(path)
    assert code in [found.code for found in audit_bundle(path).findings]
    with pytest.raises(InputError):
        unpack_bundle(path, tmp_path / "out", trust=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("mode", "code"), [(stat.S_IFLNK, "link"), (stat.S_IFIFO, "special-file"), (stat.S_IFCHR, "special-file")]
)
def test_kinds_of_files(mode: int, code: str, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as opened:
        info = zipfile.ZipInfo("b/a")
        info.create_system, info.external_attr = 3, (mode | 0o644) << 16
        opened.writestr(info, b"target")
    assert _codes(path) == [code]


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _zip(tmp_path / "x.zip", "b/a", "b/c", content=bytes(3 << 20))
    assert _codes(path) == ["zip-bomb", "zip-bomb"]  # both members
    monkeypatch.setattr(archive, "MAX_EXPANSION", 10_000)
    assert _codes(path) == []
    monkeypatch.setattr(archive, "MAX_BYTES", 5 << 20)
    assert _codes(path) == ["zip-bomb"]  # all of it
    monkeypatch.setattr(archive, "MAX_FILES", 1)
    assert _codes(path) == ["zip-bomb"]


def test_every_fault_is_a_rule_of_the_audit() -> None:
    source = Path(archive.__file__).read_text(encoding="utf-8")
    for code in ("zip-path", "zip-names", "zip-layout", "zip-bomb", "zip-damaged", "link", "special-file", "bytecode"):
        assert f'"{code}"' in source
        assert code in RULES
