"""`python -m mist_bundle.autoconfig`, the command that users know first."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import autoconfig
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK


def test_it_is_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_phantom(tmp_path / "data", num_cases=4, shape=(16, 16, 12))
    words = ["autoconfig", str(data), "--output", str(tmp_path / "out"), "--folds", "2", "--recipe", "quick"]
    monkeypatch.setattr("sys.argv", words)
    assert autoconfig.main() == EXIT_OK
    assert (tmp_path / "out" / "phantom_mr2_segmentation" / "MANIFEST.json").is_file()
    monkeypatch.setattr("sys.argv", ["autoconfig", "--help"])
    assert autoconfig.main() == EXIT_OK
    assert capsys.readouterr().out.rstrip().splitlines()[-1].startswith("Arguments may also be named")
    monkeypatch.setattr("sys.argv", ["autoconfig", str(tmp_path / "nothing.json")])
    assert autoconfig.main() == EXIT_INPUT_REFUSED
