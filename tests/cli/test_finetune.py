"""Verbs that start from trained weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK
from tests.bundle.stock import write_stock_bundle


def test_average_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for value in (1.0, 3.0):
        path = tmp_path / f"{value}.pt"
        torch.save({"weight": torch.full((2,), value)}, path)
        files.append(str(path))
    output = tmp_path / "mean.pt"
    assert cli.main(["average_weights", *files, "--output", str(output)]) == EXIT_OK
    assert capsys.readouterr().out == f"Mean of 2 files: {output}\n"
    assert torch.load(output, weights_only=True)["weight"].tolist() == [2.0, 2.0]
    assert cli.main(["average_weights", files[0], "--output", str(output)]) == EXIT_INPUT_REFUSED


def test_options_of_the_planner_that_the_source_decides_are_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["finetune", "source", "data.json", "--network", "unet"]) == EXIT_INPUT_REFUSED
    assert "--network: is not an option." in capsys.readouterr().err


def test_the_account_of_the_weights_is_printed(
    phantom_json: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_stock_bundle(tmp_path)
    words = ["finetune", str(source), str(phantom_json), "--output", str(tmp_path / "out"), "--trust"]
    assert cli.main([*words, "--folds", "2", "--recipe", "quick"]) == EXIT_OK
    printed = capsys.readouterr().out
    assert f"Weights from {source}:" in printed
    assert "tensors carried over as they are" in printed
    assert f"Each tensor: {tmp_path / 'out' / 'phantom_mr2_segmentation' / 'configs' / 'transfer.json'}" in printed
    assert "Train it: mist-bundle train" in printed
