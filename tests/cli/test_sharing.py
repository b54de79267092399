"""The verbs that give a bundle away, as they are typed: what they print, and their exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mist_bundle import cli
from mist_bundle.bundle.manifest import file_hashes
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED


def _run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_bump_pack_unpack(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = _run(capsys, "bump", own_bundle, "--message", "Better weights.", "--part", "minor")
    assert code == EXIT_OK
    assert "Version 0.2.0" in output
    archive = tmp_path / "bundle.zip"
    code, output, _ = _run(capsys, "pack", own_bundle, "--output", archive)
    assert code == EXIT_OK
    assert str(archive) in output
    assert "sha256: " in output
    code, output, _ = _run(capsys, "unpack", archive, "--output", tmp_path / "receiver")
    assert code == EXIT_OK
    received = tmp_path / "receiver" / own_bundle.name
    assert str(received) in output
    assert file_hashes(received) == file_hashes(own_bundle)
    code, _, errors = _run(capsys, "unpack", archive, "--output", tmp_path / "receiver")
    assert code == EXIT_INPUT_REFUSED
    assert "--overwrite" in errors


def test_what_has_to_be_downloaded_is_reported(
    own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_bundle / "models").mkdir(exist_ok=True)
    (own_bundle / "models/model.pt").write_bytes(bytes(200_000))
    _run(capsys, "bump", own_bundle, "--message", "Weights.")
    words = ("--large_files_url", "https://example.org/w", "--large_files_limit_mb", "0.15")
    code, output, _ = _run(capsys, "pack", own_bundle, "--output", tmp_path / "x.zip", *words)
    assert code == EXIT_OK
    assert "put models/model.pt at https://example.org/w/models/model.pt" in output
    code, output, _ = _run(capsys, "unpack", tmp_path / "x.zip", "--output", tmp_path / "in")
    assert code == EXIT_OK
    assert "Still to download: models/model.pt" in output
    assert "download_large_files" in output
    # a file that is neither here nor there is missed
    (tmp_path / "in" / own_bundle.name / "large_files.yml").unlink()
    code, output, _ = _run(capsys, "audit", tmp_path / "in" / own_bundle.name)
    assert code == EXIT_SOME_CASES_FAILED
    assert "[file-missing]" in output


def test_export_that_fails_is_named_and_ends_with_one(
    own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_bundle / "models").mkdir(exist_ok=True)
    torch.save({"other": torch.zeros(1)}, own_bundle / "models/model.pt")
    words = ("--format", "state_dict", "--output", tmp_path / "out", "--trust")
    code, output, errors = _run(capsys, "export", own_bundle, *words)
    assert code == EXIT_SOME_CASES_FAILED
    assert "FAILED" in output
    assert "Missing key" in errors
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["export.json"]
    assert "1 of 1 formats failed" in errors
    assert "Traceback" not in errors


def test_refusals(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ("export", own_bundle, "--format", "pickle"),
        ("pack", tmp_path, "--output", tmp_path / "x.zip"),
        ("unpack", tmp_path / "nothing.zip"),
        ("bump", own_bundle, "--message", "x", "--part", "big"),
        ("push", own_bundle, "--repo", "no-slash"),
    ):
        code, output, errors = _run(capsys, *words)
        assert code == EXIT_INPUT_REFUSED, words
        assert "Refused" in errors
        assert output == ""
