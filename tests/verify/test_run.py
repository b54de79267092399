"""The verification: what a good bundle passes, how each kind of damage is named, and what MONAI itself runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mist_bundle import cli
from mist_bundle.bundle.manifest import file_hashes, write_manifest
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from mist_bundle.sharing.pack import pack_bundle
from mist_bundle.verify.report import BY_RULE, FAIL, NOT_APPLICABLE, PASS, RUN, Verification
from mist_bundle.verify.run import verify_bundle
from tests.bundle.stock import write_stock_bundle
from tests.trust.audit.hostile import edit

INFERENCE, METADATA = "configs/inference.json", "configs/metadata.json"
CONSUMERS = [
    "monai.bundle (command line)",
    "monai.bundle.load",
    "Federated learning (MonaiAlgo)",
    "MONAI Label",
    "MONAI Deploy",
    "Hugging Face",
    "MONAI model zoo",
    "3D Slicer",
]


@pytest.fixture
def own_trained(trained_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the trained bundle that a test may damage."""
    return Path(shutil.copytree(trained_bundle, tmp_path / trained_bundle.name))


def _verdicts(result: Verification) -> dict[str, str]:
    return {check.name: check.verdict for check in (*result.checks, *result.consumers)}


def test_a_trained_bundle_passes_by_rule(trained_bundle: Path) -> None:
    result = verify_bundle(trained_bundle, quick=True)
    assert result.passed, str(result)
    assert [row.name for row in result.consumers] == CONSUMERS
    assert all(row.reason for row in (*result.checks, *result.consumers))
    assert {row.how for row in (*result.checks, *result.consumers)} == {BY_RULE}, "nothing was run"
    verdicts = _verdicts(result)
    assert verdicts["3D Slicer"] == NOT_APPLICABLE
    assert verdicts["MONAI Deploy"] == PASS, "its operator takes the folder"
    assert {verdicts[name] for name in CONSUMERS} == {PASS, NOT_APPLICABLE}


def test_a_zip_is_verified_too(trained_bundle: Path, tmp_path: Path) -> None:
    packed = pack_bundle(trained_bundle, tmp_path / "x.zip")
    assert verify_bundle(packed.file, quick=True).passed


def test_an_untrained_bundle_says_what_is_missing(fresh_bundle: Path) -> None:
    result = verify_bundle(fresh_bundle, quick=True)
    (found,) = [check for check in result.checks if check.verdict == FAIL]
    assert found.name == "files"
    assert "train and finalize" in found.reason


def _drop(bundle: Path, file: str, key: str) -> None:
    content = json.loads((bundle / file).read_text())
    part = content
    *parents, last = key.split("#")
    for name in parents:
        part = part[name]
    del part[last]
    (bundle / file).write_text(json.dumps(content))


PACKAGES = "required_packages_version"


def _lay_over(bundle: Path, key: str) -> None:
    path = bundle / "configs/multi_gpu_train.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: 1}))


def _elsewhere(bundle: Path, path: str) -> None:
    """The weights are gone, and large_files.yml names `path`."""
    (bundle / "models/model.pt").unlink()
    entry = {"path": path, "url": "https://example.org/x", "hash_val": "0" * 64, "hash_type": "sha256"}
    (bundle / "large_files.yml").write_text(json.dumps({"large_files": [entry]}))


DAMAGE: list[tuple[str, str, Callable[[Path], Any]]] = [
    ("references", "'@nowhere' leads nowhere", lambda bundle: edit(bundle, INFERENCE, overlap="@nowhere")),
    ("ids of inference", "'inferer' is not there", lambda bundle: _drop(bundle, INFERENCE, "inferer")),
    ("ids of train", "'train#trainer' is not there", lambda b: _drop(b, "configs/train.json", "train#trainer")),
    ("overlays", "'train#nosuch#x' belongs in 'train#nosuch'", lambda bundle: _lay_over(bundle, "train#nosuch#x")),
    ("overlays", "'train::nosuch::x' belongs", lambda bundle: _lay_over(bundle, "train::nosuch::x")),
    ("packages", "imports SimpleITK", lambda b: _drop(b, METADATA, "required_packages_version#SimpleITK")),
    ("metadata", "'latest'; expected a version", lambda b: edit(b, METADATA, **{f"{PACKAGES}#nibabel": "latest"})),
    ("metadata", "'references' is \"x\"; expected a list", lambda bundle: edit(bundle, METADATA, references="x")),
    ("files", "model.pt", lambda bundle: _elsewhere(bundle, "models/other.pt")),
    ("overrides", "--fold is not known", lambda bundle: _drop(bundle, "configs/train.json", "fold")),
    ("metadata", "task", lambda bundle: _drop(bundle, METADATA, "task")),
    ("version", "three numbers", lambda bundle: edit(bundle, METADATA, version="one")),
    ("version", "changelog", lambda bundle: edit(bundle, METADATA, changelog={})),
    ("files", "LICENSE", lambda bundle: (bundle / "LICENSE").unlink()),
    ("files", "model.pt", lambda bundle: (bundle / "models/model.pt").unlink()),
]


@pytest.mark.parametrize(("check", "words", "damage"), DAMAGE, ids=[f"{row[0]}-{row[1]}" for row in DAMAGE])
def test_damage_is_named(check: str, words: str, damage: Callable[[Path], Any], own_trained: Path) -> None:
    damage(own_trained)
    write_manifest(own_trained)
    result = verify_bundle(own_trained, quick=True)
    failed = {found.name: found.reason for found in result.checks if found.verdict == FAIL}
    assert check in failed, str(result)
    assert words in failed[check]
    assert not result.passed


def test_a_manifest_that_does_not_fit_is_named(own_trained: Path) -> None:
    edit(own_trained, "configs/train.json", epochs=3)
    result = verify_bundle(own_trained, quick=True)
    assert _verdicts(result)["manifest"] == FAIL


def test_schema_of_monai(trained_bundle: Path, shared_data: Path, own_trained: Path) -> None:
    schema = shared_data / "monai_meta_schema_20240725.json"
    assert _verdicts(verify_bundle(trained_bundle, quick=True, schema=schema))["metadata schema"] == PASS
    _drop(own_trained, METADATA, "network_data_format")
    assert _verdicts(verify_bundle(own_trained, quick=True, schema=schema))["metadata schema"] == FAIL


def test_what_does_not_pass_the_audit_is_not_verified(own_trained: Path) -> None:
    edit(own_trained, INFERENCE, device="$print('hello')")
    with pytest.raises(InputError, match="does not pass the audit"):
        verify_bundle(own_trained)
    assert verify_bundle(own_trained, quick=True).checks, "reading runs nothing"


def test_command_line(trained_bundle: Path, own_trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(trained_bundle), "--quick"]) == EXIT_OK
    assert "PASSED" in capsys.readouterr().out
    assert cli.main(["verify", str(trained_bundle), "--format", "xml"]) == EXIT_INPUT_REFUSED
    capsys.readouterr()
    edit(own_trained, METADATA, version="one")
    assert cli.main(["verify", str(own_trained), "--quick", "--format", "json"]) == EXIT_SOME_CASES_FAILED
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is False
    assert {row["name"] for row in report["consumers"]} == set(CONSUMERS)


@pytest.mark.slow
def test_monai_runs_it(trained_bundle: Path) -> None:
    """create_workflow + check_properties, monai.bundle.load, inference and a federated round, by MONAI itself."""
    before = file_hashes(trained_bundle)
    result = verify_bundle(trained_bundle)
    assert result.passed, str(result)
    ran = {check.name: check.verdict for check in (*result.checks, *result.consumers) if check.how == RUN}
    steps = {"targets import", "weights load", "forward pass", "properties", "inference", "federated learning"}
    assert steps | set(CONSUMERS[:3]) <= set(ran)
    assert set(ran.values()) == {PASS}, str(result)
    assert file_hashes(trained_bundle) == before, "a copy was run"


@pytest.mark.slow
def test_weights_of_another_network_are_seen(own_trained: Path) -> None:
    torch.save({"other": torch.zeros(1)}, own_trained / "models/model.pt")
    (own_trained / "models/model.safetensors").unlink()
    write_manifest(own_trained)
    result = verify_bundle(own_trained)
    verdicts = _verdicts(result)
    assert verdicts["weights load"] == FAIL
    # monai.bundle.load copies what fits and is content with nothing: that step alone would not see it
    assert verdicts["targets import"] == PASS
    assert not result.passed


def test_a_stock_bundle_is_read_without_trust(tmp_path: Path) -> None:
    result = verify_bundle(write_stock_bundle(tmp_path), quick=True)
    failed = [check.name for check in result.checks if check.verdict == "fail"]
    assert failed == []


@pytest.mark.slow
def test_a_trusted_stock_bundle_runs(tmp_path: Path) -> None:
    result = verify_bundle(write_stock_bundle(tmp_path), trust=True)
    verdicts = {check.name: check.verdict for check in result.checks}
    assert verdicts["forward pass"] == verdicts["weights load"] == verdicts["monai.bundle.load"] == "pass"
