"""The audit: every hostile bundle is named and none is run; every bundle that is generated passes."""

from __future__ import annotations

import fnmatch
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mist_bundle import cli, pipeline
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED, InputError
from mist_bundle.planning.options import TransferOptions
from mist_bundle.trust.audit import require_audited
from mist_bundle.trust.audit.rules import NOTE, RULES
from mist_bundle.trust.audit.run import audit_bundle
from mist_bundle.verify.run import verify_bundle
from tests.conftest import TINY
from tests.trust.audit.hostile import ATTACKS, INFERENCE, Attack, edit, zip_bundle


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_hostile_bundle_is_named_refused_and_not_run(attack: Attack, own_bundle: Path, canary: Path) -> None:
    given = attack.make(own_bundle, canary)
    assert not canary.exists(), "making the bundle set the trap off"
    report = audit_bundle(given)
    assert not report.passed
    hits = [found for found in report.findings if found.code == attack.code]
    assert hits, f"expected [{attack.code}], found:\n{report}"
    assert any(fnmatch.fnmatch(found.file, attack.file) for found in hits), f"expected {attack.file}:\n{report}"
    assert all(found.severity != NOTE for found in hits)
    with pytest.raises(InputError, match="does not pass the audit"):
        pipeline.predict(given, own_bundle.parent, own_bundle.parent / "out")
    assert not canary.exists(), "something was executed"
    assert not (own_bundle.parent / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_hostile_bundle_is_neither_verified_nor_trained_on(
    attack: Attack, own_bundle: Path, phantom_json: Path, canary: Path, tmp_path: Path
) -> None:
    given = attack.make(own_bundle, canary)
    with pytest.raises(InputError):
        verify_bundle(given)
    with pytest.raises(InputError):
        pipeline.finetune(str(given), phantom_json, tmp_path / "tuned", TINY, TransferOptions())
    assert not canary.exists(), "something was executed"
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    ("name", "source", "part"),
    [
        ("models/..fold_0.pt.staged.partial.a_b3c4d5.partial", "models/model.pt", 0.4),
        ("models/.fold_0.pt.staged.partial", "models/model.pt", 1),
        ("models/..model.safetensors.staged.partial.a_b3c4d5.partial", "models/model.safetensors", 0.4),
        ("models/.model.ts.staged.partial", "model.ts", 1),
        ("models/..model.ts.staged.partial.a_b3c4d5.partial", "model.ts", 1),
        ("models/..model.ts.staged.partial.a_b3c4d5.partial", "model.ts", 0.4),
        ("configs/..metadata.json.staged.partial.a_b3c4d5.partial", "configs/metadata.json", 0.4),
    ],
)
def test_what_a_killed_publication_leaves_is_no_danger(
    trained_bundle: Path, tmp_path: Path, name: str, source: str, part: float
) -> None:
    bundle = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, bundle)
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "model.ts")
    content = ((tmp_path if source == "model.ts" else bundle) / source).read_bytes()
    (bundle / name).write_bytes(content[: int(len(content) * part)])
    assert audit_bundle(bundle).passed


def test_a_dangerous_file_is_one_under_an_unfinished_name_too(own_bundle: Path) -> None:
    (own_bundle / "models/..fold_0.pt.staged.partial.a_b3c4d5.partial").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert not audit_bundle(own_bundle).passed


def test_there_are_many_attacks_and_each_is_called_differently() -> None:
    assert len(ATTACKS) >= 110
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def test_every_rule_that_refuses_is_seen_in_a_test() -> None:
    seen = {attack.code for attack in ATTACKS}
    refusing = {code for code, rule in RULES.items() if rule.severity != NOTE and not code.startswith("signature")}
    assert refusing - seen == set()


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("target_os_system", "network_def"),
        ("target_by_a_composite_key", "network_def"),
        ("target_merged_in", "network_def"),
        ("reference_ends_a_string", "dataset_dir"),
    ],
)
def test_the_traps_are_real(name: str, identity: str, own_bundle: Path, canary: Path, tmp_path: Path) -> None:
    # what the audit refuses does run when the same bundle is given to monai.bundle
    next(attack for attack in ATTACKS if attack.name == name).make(own_bundle, canary)
    code = (
        f"import os\nfrom monai.bundle import ConfigParser\np = ConfigParser()\n"
        f"p.read_config({str(own_bundle / INFERENCE)!r})\np['bundle_root'] = '.'\n"
        f"p.get_parsed_content('imports')\np.get_parsed_content({identity!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, cwd=tmp_path)
    assert canary.exists()


def test_the_trap_of_the_log_is_real(own_bundle: Path, canary: Path, tmp_path: Path) -> None:
    next(attack for attack in ATTACKS if attack.name == "logging_interpolation").make(own_bundle, canary)
    code = f"import logging.config\nlogging.config.fileConfig({str(own_bundle / 'configs/logging.conf')!r})"
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, cwd=tmp_path)
    assert canary.exists()


def test_fresh_trained_and_zipped_bundles_pass(fresh_bundle: Path, trained_bundle: Path, tmp_path: Path) -> None:
    for bundle in (fresh_bundle, trained_bundle):
        report = audit_bundle(bundle)
        assert report.passed, str(report)
        assert not report.findings, str(report)
    shutil.copytree(trained_bundle, tmp_path / trained_bundle.name)
    zipped = zip_bundle(tmp_path / trained_bundle.name)
    report = audit_bundle(zipped)
    assert report.passed, str(report)
    assert report.checked["targets"] > 50
    assert report.checked["expressions"] > 50


def test_yaml_bundle_passes(phantom_json: Path, tmp_path: Path) -> None:
    from tests.conftest import TINY

    bundle = pipeline.autoconfig(phantom_json, tmp_path, TINY, config_format="yaml").bundle
    report = audit_bundle(bundle)
    assert report.passed, str(report)


def test_edited_numbers_pass_and_are_mentioned(own_bundle: Path) -> None:
    edit(
        own_bundle, "configs/train.json", epochs=7, learning_rate=0.5, patch_size=[32, 32, 16], dataset_dir="/data/here"
    )
    report = audit_bundle(own_bundle)
    assert report.passed, str(report)
    assert {(found.code, found.file) for found in report.findings} == {
        ("manifest-edited", "configs/train.json"),
        ("path-read", "configs/train.json"),
    }
    require_audited(own_bundle)


def test_compiled_files_are_deleted_before_a_run(own_bundle: Path) -> None:
    cached = own_bundle / "scripts/__pycache__/save.cpython-311.pyc"
    cached.parent.mkdir()
    cached.write_bytes(b"compiled")
    assert not audit_bundle(own_bundle).passed
    require_audited(own_bundle)
    assert not cached.exists()


def test_trust_is_for_the_user_to_give(own_bundle: Path) -> None:
    (own_bundle / "scripts/networks/mine.py").write_text("x = 1\n")
    with pytest.raises(InputError, match="script-added"):
        require_audited(own_bundle)
    require_audited(own_bundle, trust=True)


def test_reports_show_no_control_characters(own_bundle: Path) -> None:
    edit(own_bundle, INFERENCE, x="$open('\x1b[2J\u202e')")
    text = str(audit_bundle(own_bundle))
    assert "\\x1b" in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_command_line_and_json(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", str(own_bundle)]) == EXIT_OK
    assert "PASSED" in capsys.readouterr().out
    (own_bundle / "torch.py").write_text("")
    assert cli.main(["audit", str(own_bundle), "--format", "json"]) == EXIT_SOME_CASES_FAILED
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is False
    assert report["count"]["danger"] == 1
    assert report["findings"][0]["code"] == "shadowing"
    assert report["findings"][0]["file"] == "torch.py"
    for nothing in (tmp_path / "absent", tmp_path):
        assert cli.main(["audit", str(nothing)]) == EXIT_INPUT_REFUSED
    assert cli.main(["audit", str(own_bundle), "--format", "xml"]) == EXIT_INPUT_REFUSED


@pytest.mark.parametrize("verb", ["predict", "train", "preprocess", "evaluate"])
def test_verbs_that_run_a_bundle_refuse_without_trust(verb: str, own_bundle: Path, canary: Path) -> None:
    edit(own_bundle, INFERENCE, network_def={"_target_": "os.system", "command": f"touch {canary}"})
    words = ["--input", str(own_bundle), "--output", str(own_bundle.parent / "out")] if verb == "predict" else []
    assert cli.main([verb, str(own_bundle), *words]) == EXIT_INPUT_REFUSED
    assert not canary.exists()


def test_audit_imports_neither_torch_nor_monai(own_bundle: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mist_bundle.trust.audit.run import audit_bundle\n"
        f"audit_bundle(Path({str(own_bundle)!r}))\n"
        "assert not {'torch', 'monai', 'ignite', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
