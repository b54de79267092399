"""Verbs that run a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.errors import EXIT_INPUT_REFUSED


@pytest.mark.parametrize("verb", ["preprocess", "train", "publish", "finalize"])
def test_a_folder_that_is_not_a_bundle(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, str(tmp_path)]) == EXIT_INPUT_REFUSED
    assert f"{tmp_path}: is not a bundle" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--fold", "7"], "--fold: is [7]; this bundle has the folds 0 to 1, or 'all'."),
        (["train", "--epochs", "0"], "--epochs: is 0"),
        (["train", "--devices", "0,0"], "--devices"),
        (["publish"], "holds no training whose weights could be published."),
        (["finalize"], "Train and evaluate this fold first."),
        (["evaluate"], "has no trained fold. Train it first: mist-bundle train "),
        (["predict", "nowhere", "out"], "model.pt: is not there. Train the bundle first"),
    ],
)
def test_refusals_name_the_option_or_file(
    words: list[str], message: str, fresh_bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = [str(tmp_path / word) for word in words[1:] if words[0] == "predict"] or words[1:]
    assert cli.main([words[0], str(fresh_bundle), *output]) == EXIT_INPUT_REFUSED
    assert message in capsys.readouterr().err
