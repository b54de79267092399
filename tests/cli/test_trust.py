"""Verbs for bundles that come from or go to somebody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED


def test_a_good_bundle_passes_as_text_and_as_json(fresh_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", str(fresh_bundle)]) == EXIT_OK
    assert "PASSED" in capsys.readouterr().out
    assert cli.main(["audit", str(fresh_bundle), "--format", "json"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out)["passed"] is True


def test_a_changed_bundle_ends_with_one(own_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_bundle / "monai.py").write_text("")
    assert cli.main(["audit", str(own_bundle)]) == EXIT_SOME_CASES_FAILED
    printed = capsys.readouterr()
    assert "DANGER [shadowing] monai.py" in printed.out
    assert "does not pass the audit." in printed.err


def test_keys_and_signatures(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    assert cli.main(["make_key", str(key)]) == EXIT_OK
    assert f"Public key, for those who receive your bundles: {key}.pub" in capsys.readouterr().out
    assert cli.main(["make_key", str(key)]) == EXIT_INPUT_REFUSED
    assert cli.main(["sign", str(own_bundle), str(key)]) == EXIT_OK
    assert f"{own_bundle / 'model.sig'}" in capsys.readouterr().out
    assert cli.main(["audit", str(own_bundle), "--public_key", f"{key}.pub"]) == EXIT_OK
    assert "signed with the key" in capsys.readouterr().out
