"""scripts/ is runtime/, byte for byte."""

from __future__ import annotations

from pathlib import Path

from mist_bundle.bundle.vendor import RUNTIME, runtime_files


def test_scripts_are_the_runtime(fresh_bundle: Path) -> None:
    files = runtime_files()
    assert len(files) > 30
    copied = sorted(path.relative_to(fresh_bundle / "scripts") for path in (fresh_bundle / "scripts").rglob("*.py"))
    assert copied == files
    for file in files:
        assert (fresh_bundle / "scripts" / file).read_bytes() == (RUNTIME / file).read_bytes()
