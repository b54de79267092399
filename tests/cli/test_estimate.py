"""The verb `estimate`, and the line at the end of `autoconfig`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK


def test_a_named_card(fresh_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["estimate", str(fresh_bundle), "--device", "a100-40"]) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    names = ("device", "GPU memory", "main memory", "optimizer step", "epoch", "all folds", "cache on disk")
    assert len(lines) == len(names)
    for line, name in zip(lines, names, strict=True):
        assert line.startswith(name)
    assert "of 40 GB" in lines[1]
    assert lines[0].endswith("a100-40, modelled")


def test_an_unknown_card(fresh_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["estimate", str(fresh_bundle), "--device", "rtx409"]) == EXIT_INPUT_REFUSED
    assert "Did you mean 'rtx4090'?" in capsys.readouterr().err


def test_autoconfig_ends_with_an_estimate_and_warns_of_months(
    phantom_json: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["autoconfig", str(phantom_json), "--folds", "2", "--output"]
    assert cli.main([*words, str(tmp_path / "a"), "--patch_size", "160,160,160"]) == EXIT_OK
    told = capsys.readouterr()
    assert "Estimate for " in told.out
    if "this CPU" in told.out:
        assert "warning: device: training all folds would take" in told.err
        assert "--recipe quick" in told.err
    assert cli.main([*words, str(tmp_path / "b"), "--recipe", "quick"]) == EXIT_OK
    assert "would take" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "ok"), [("24GB", True), ("11.5", True), ("16384MB", True), ("none", True), ("0", False)]
)
def test_memory_is_read_with_its_unit(
    word: str, ok: bool, phantom_json: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["autoconfig", str(phantom_json), "--output", str(tmp_path), "--folds", "2", "--recipe", "quick"]
    code = cli.main([*words, "--memory", "None" if word == "none" else word])
    assert (code == EXIT_OK) is ok
    if not ok:
        assert "gigabytes like 24GB" in capsys.readouterr().err
