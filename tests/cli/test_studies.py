"""How a study is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mist_bundle as mb
from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK
from mist_bundle.pipeline.study import Study


def test_mean_and_spread_stand_beside_each_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    means = {5: {"liver_dice": 0.8, "kidney_hd95": 3.0}, 6: {"liver_dice": 0.9, "kidney_hd95": 3.0}}
    done = Study(folder=tmp_path, bundles={}, means=means)

    def trained_before(**_: Any) -> Study:
        return done

    monkeypatch.setattr(mb, "study", trained_before)
    assert cli.main(["study", "bundle", "--output", str(tmp_path)]) == EXIT_OK
    printed = capsys.readouterr().out.splitlines()
    assert "between the seeds 5, 6" in printed[1]
    assert printed[2].split() == ["liver_dice", "0.8500", "±", "0.0707", "0.8000", "0.9000"]
    assert printed[3].split() == ["kidney_hd95", "3.0000", "±", "0.0000", "3.0000", "3.0000"]


def test_no_bundle_no_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["study", str(tmp_path / "nothing"), "--output", str(tmp_path / "study")]) == EXIT_INPUT_REFUSED
    assert "nothing" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
