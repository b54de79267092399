"""The gate: compiled files go before anything is run, also those beside scripts that a bundle links to."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle import __version__, cli, pipeline
from mist_bundle.bundle.manifest import write_manifest
from mist_bundle.dataset.phantom import make_phantom
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


def test_a_bundle_of_an_earlier_version_is_told_as_such(own_bundle: Path) -> None:
    metadata = json.loads((own_bundle / "configs/metadata.json").read_text())
    (own_bundle / "configs/metadata.json").write_text(json.dumps({**metadata, "mist_bundle_version": "0.1.0"}))
    inference = json.loads((own_bundle / "configs/inference.json").read_text())
    (own_bundle / "configs/inference.json").write_text(json.dumps({**inference, "old": "$not @postprocess"}))
    write_manifest(own_bundle)
    with pytest.raises(InputError, match=r"mist_bundle 0\.1\.0 wrote it; this is .* --trust runs it as it is, and"):
        require_audited(own_bundle)
    assert "mist-bundle finetune" in str(audit_bundle(own_bundle))
    require_audited(own_bundle, trust=True)


@pytest.mark.parametrize("version", [__version__, "9.9.9", "0.1.x", "$(x)", None, ["0.1.0"]])
def test_any_other_bundle_is_not(own_bundle: Path, version: object) -> None:
    metadata = json.loads((own_bundle / "configs/metadata.json").read_text())
    (own_bundle / "configs/metadata.json").write_text(json.dumps({**metadata, "mist_bundle_version": version}))
    (own_bundle / "scripts/extra.py").write_text("x = 1")
    report = audit_bundle(own_bundle)
    assert not report.passed
    assert report.advice == ""


FIRST_STATE = "f07865ac60d30727f8c624c515fb5356778bc572"  # of version 0.1.0, in this repository


@pytest.mark.slow
def test_the_advice_for_a_bundle_of_0_1_works(tmp_path: Path) -> None:
    # headers in millimetres: 0.1 takes every unit for them
    phantom_json = make_phantom(
        tmp_path / "data", num_cases=6, num_test=2, seed=1, shape=(28, 26, 20), mixed_headers=False
    )
    repository = Path(__file__).resolve().parents[3]
    archive = subprocess.run(
        ["git", "archive", FIRST_STATE, "mist_bundle"], cwd=repository, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"this checkout has no commit {FIRST_STATE[:7]}")
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=archive.stdout, check=True)
    old = [sys.executable, "-m", "mist_bundle"]
    small = ["--recipe", "quick", "--folds", "2", "--epochs", "1", "--steps_per_epoch", "1", "--patch_size", "16,16,16"]
    words = [*old, "autoconfig", str(phantom_json), "--output", str(tmp_path / "old"), *small]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run(words, cwd=tmp_path, env=environment, check=True)
    bundle = next((tmp_path / "old").glob("*_segmentation"))
    words = [*old, "train", str(bundle), "--fold", "0"]
    subprocess.run(words, cwd=tmp_path, env=environment, check=True)
    with pytest.raises(InputError, match=r"mist_bundle 0\.1\.0 wrote it"):
        require_audited(bundle)
    written, _ = pipeline.predict(bundle, phantom_json.parent / "test", tmp_path / "predicted", trust=True)
    assert all(path.is_file() for path in written)
    assert cli.main(["finetune", str(bundle), str(phantom_json), "--output", str(tmp_path / "renewed"), "--trust"]) in (
        0,
        None,
    )
    require_audited(next((tmp_path / "renewed").glob("*_segmentation")))
