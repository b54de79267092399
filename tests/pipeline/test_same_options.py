"""Options of a second call."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from tests.pipeline.trained import everything


def test_run_all_goes_on_only_with_the_options_of_the_bundle(
    phantom_json: Path, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run_all", str(phantom_json), "--output", str(bundle.parent), "--resume", "--folds", "2", "--seed", "42"]
    before = everything(bundle)
    assert cli.main([*words, "--epochs", "5", "--patch_size", "32,32,16"]) == 2
    said = capsys.readouterr().err
    assert "--epochs: is 5, but the bundle that is there was configured with 2." in said
    assert "--patch_size: is 32,32,16, but" in said
    assert "--seed" not in said
    assert everything(bundle) == before
    assert cli.main(["run_all", str(phantom_json), "--output", str(bundle.parent), "--overwrite"]) == 2
    assert "holds trained work" in capsys.readouterr().err
