"""Importing models of other programs on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle.cli import main
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK
from tests.transfer.nnunet_made import write_results


def test_dry_run_shows_the_table_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write_results(tmp_path / "results")
    words = ["import_nnunet", str(results), "--output", str(tmp_path / "model")]
    assert main([*words, "--dry_run"]) == EXIT_OK
    shown = capsys.readouterr()
    for line in (
        "channels    t1, flair",
        "labels      0 background, 1 organ, 2 tumour",
        "trained by  nnU-Net v2 (nnUNetTrainer, 3d_fullres)",
        "spacing     3 x 1.5 x 1 mm",
        "Nothing was written (--dry_run).",
    ):
        assert line in shown.out
    assert "warning: training data: " in shown.err
    assert not (tmp_path / "model").exists()


def test_the_next_command_is_named_and_a_second_import_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = write_results(tmp_path / "results")
    words = ["import_nnunet", str(results), "--output", str(tmp_path / "model")]
    assert main(words) == EXIT_OK
    assert f"Next:   mist-bundle predict {tmp_path / 'model'} --input CASES" in capsys.readouterr().out
    assert main(words) == EXIT_INPUT_REFUSED
    assert "Refused, nothing was written" in capsys.readouterr().err
