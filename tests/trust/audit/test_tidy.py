"""Only caches of compiled Python are deleted, and no link is followed."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.trust.audit.tidy import remove_bytecode


def test_only_caches_go(tmp_path: Path) -> None:
    bundle, elsewhere = tmp_path / "bundle", tmp_path / "elsewhere"
    for path in (
        bundle / "scripts/__pycache__/a.cpython-311.pyc",
        bundle / "scripts/__pycache__/a.txt",
        bundle / "scripts/losses/__pycache__/b.pyo",
        bundle / "scripts/c.pyc",
        elsewhere / "__pycache__/d.pyc",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (bundle / "linked").symlink_to(elsewhere, target_is_directory=True)
    assert remove_bytecode(bundle) == 2
    left = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert left == {"scripts/__pycache__/a.txt", "scripts/c.pyc"}
    assert (elsewhere / "__pycache__/d.pyc").is_file()
