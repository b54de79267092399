"""The verb that writes pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK


def test_the_page_and_its_viewer(own_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["report", str(own_bundle), "--output", str(tmp_path / "page.html"), "--pictures", "0"]
    assert cli.main(words) == EXIT_OK
    printed = capsys.readouterr().out
    assert f"Report: {tmp_path / 'page.html'}" in printed
    assert f"Viewer: {tmp_path / 'page_viewer.html'}" in printed
    assert cli.main(words) == EXIT_INPUT_REFUSED, "the page is there"
    assert cli.main([*words, "--overwrite", "--noviewer"]) == EXIT_OK
    assert "Viewer:" not in capsys.readouterr().out


def test_a_page_takes_no_place_of_another_kind_of_file(own_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = own_bundle / "configs/plan.json"
    before = plan.read_bytes()
    assert cli.main(["report", str(own_bundle), "--output", str(plan), "--overwrite"]) == EXIT_INPUT_REFUSED
    assert "--output: is" in capsys.readouterr().err
    assert plan.read_bytes() == before
