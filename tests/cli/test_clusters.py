"""The verbs slurm and kubernetes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK


def test_slurm_names_the_script(fresh_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["slurm", str(fresh_bundle), "--output", str(tmp_path), "--time", "2-00", "--gpus", "0"]
    assert cli.main(words) == EXIT_OK
    assert str(tmp_path / "submit.sh") in capsys.readouterr().out
    text = (tmp_path / "folds.sbatch").read_text()
    assert "--time=2-00" in text
    assert "gres" not in text


def test_kubernetes_asks_for_image_and_claim(
    fresh_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["kubernetes", str(fresh_bundle), "--output", str(tmp_path / "a")]) == EXIT_INPUT_REFUSED
    told = capsys.readouterr().err
    assert "--image: is missing" in told
    assert "--claim: is missing" in told
    words = ["kubernetes", str(fresh_bundle), "--output", str(tmp_path), "--image", "a/b:1", "--claim", "data"]
    assert cli.main(words) == EXIT_OK
    assert (tmp_path / "folds.yaml").is_file()
