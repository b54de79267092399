"""The gate: compiled files go before anything is run, also those beside scripts that a bundle links to."""

from __future__ import annotations

import importlib.util
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.errors import InputError
from mist_bundle.trust.audit import require_audited
from mist_bundle.trust.audit.run import audit_bundle


def _compile_trap(source: Path, canary: Path) -> Path:
    """Compiled code that Python runs in place of the harmless source beside it."""
    harmless = source.read_bytes()
    source.write_text(f"open({str(canary)!r}, 'w')")
    target = importlib.util.cache_from_source(str(source))
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), cfile=target, invalidation_mode=mode, doraise=True)
    source.write_bytes(harmless)
    return Path(target)


def _import_scripts(bundle: Path) -> None:
    subprocess.run([sys.executable, "-B", "-c", "import scripts"], cwd=bundle, check=True)


@pytest.mark.parametrize("linked", [False, True])
def test_compiled_files_are_reported_and_deleted(
    linked: bool, own_bundle: Path, linked_bundle: Path, tmp_path: Path
) -> None:
    bundle, canary = linked_bundle if linked else own_bundle, tmp_path / "canary"
    write_manifest(bundle)
    assert not audit_bundle(bundle).findings
    compiled = _compile_trap(bundle / "scripts/__init__.py", canary)
    _import_scripts(bundle)
    assert canary.exists(), "the trap is real"
    canary.unlink()
    report = audit_bundle(bundle)
    assert [found.code for found in report.findings] == ["bytecode"]
    assert not report.passed
    require_audited(bundle)
    assert not compiled.exists()
    _import_scripts(bundle)
    assert not canary.exists()


def test_what_does_not_pass_is_refused_unless_it_is_trusted(linked_bundle: Path) -> None:
    script = linked_bundle.parent.parent / "mist_bundle/runtime/losses/dice.py"
    script.write_text(script.read_text() + "# more\n")
    with pytest.raises(InputError, match="script-changed"):
        require_audited(linked_bundle)
    require_audited(linked_bundle, trust=True)
