"""Files that some program might run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mist_bundle.bundle.vendor import runtime_hashes
from mist_bundle.trust.audit.bundle_files import open_bundle
from mist_bundle.trust.audit.code import check_code, check_scripts, released_digests, tree_digest


def _found(bundle: Path) -> list[tuple[str, str]]:
    return [(finding.code, finding.file) for finding in check_code(open_bundle(bundle))]


def test_a_generated_bundle_has_no_findings(fresh_bundle: Path) -> None:
    assert _found(fresh_bundle) == []


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("run.sh", b"echo", "code"),
        ("models/setup.cfg", b"", "code"),
        ("Makefile", b"all:", "code"),
        ("monai.py", b"", "shadowing"),
        ("docs/numpy.so", b"", "shadowing"),
        ("models/tool", b"\x7fELF", "executable"),
        ("docs/notes", b"#!/bin/sh", "executable"),
        ("scripts/numerics/crop.pyc", b"", "bytecode"),
        ("notes.txt", b"text", "unexpected-file"),
        ("extra/notes.txt", b"text", "unexpected-file"),
    ],
)
def test_other_files_are_named_by_their_kind(own_bundle: Path, name: str, content: bytes, code: str) -> None:
    (own_bundle / name).parent.mkdir(exist_ok=True)
    (own_bundle / name).write_bytes(content)
    assert _found(own_bundle) == [(code, name)]


def test_weights_and_documents_are_no_code(own_bundle: Path) -> None:
    (own_bundle / "models").mkdir(exist_ok=True)
    (own_bundle / "models" / "old.pth").write_bytes(b"PK")
    (own_bundle / "docs" / "figure.txt").write_bytes(b"text")
    assert _found(own_bundle) == []


def test_changed_added_and_missing_scripts_are_told_apart(own_bundle: Path) -> None:
    scripts = own_bundle / "scripts"
    changed, missing = sorted(path for path in scripts.rglob("*.py") if path.name != "__init__.py")[:2]
    changed.write_text(changed.read_text() + "\nimport antigravity\n")
    missing.unlink()
    (scripts / "more.py").write_text("import os, sys\nfrom . import here\nos.system('true')\n")
    findings = {finding.file: finding for finding in check_scripts(open_bundle(own_bundle))}
    names = {path.relative_to(own_bundle).as_posix(): path for path in (changed, missing)}
    assert set(findings) == {*names, "scripts/more.py"}
    assert findings[changed.relative_to(own_bundle).as_posix()].code == "script-changed"
    assert "+import antigravity" in findings[changed.relative_to(own_bundle).as_posix()].what
    assert findings[missing.relative_to(own_bundle).as_posix()].code == "script-missing"
    added = findings["scripts/more.py"]
    assert added.code == "script-added"
    assert "imports '., os, sys'" in added.what
    assert "os.system" in added.what


def test_a_script_that_is_no_python_is_described(own_bundle: Path) -> None:
    (own_bundle / "scripts" / "more.py").write_text("not python at all")
    (finding,) = check_scripts(open_bundle(own_bundle))
    assert "1 lines that are not Python" in finding.what


def test_scripts_of_a_released_version_pass_as_a_whole() -> None:
    assert tree_digest(runtime_hashes()) in released_digests()
    assert tree_digest({"a.py": "1", "b.py": "2"}) == tree_digest({"b.py": "2", "a.py": "1"})
    assert tree_digest({"a.py": "1"}) != tree_digest({"a.py": "2"})


def test_without_scripts_nothing_is_missing(own_bundle: Path) -> None:
    shutil.rmtree(own_bundle / "scripts")
    assert list(check_scripts(open_bundle(own_bundle))) == []
