"""autoconfig, analyze and run_all on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.cli.configure import _advice_when_interrupted
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_SOME_CASES_FAILED, Interrupted


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Five cases, of which the third is damaged."""
    dataset_json = make_phantom(tmp_path / "data", num_cases=5, num_test=0, shape=(16, 16, 12))
    victim = sorted((dataset_json.parent / "train").iterdir())[2]
    image = sorted(victim.glob("*.nii.gz"))[-1]
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    return dataset_json


def test_autoconfig_prints_decisions_cases_and_the_next_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["autoconfig", str(data), "--output", str(tmp_path / "out"), "--folds", "2", "--recipe", "quick"]
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    printed = capsys.readouterr()
    bundle = tmp_path / "out" / "phantom_mr2_segmentation"
    assert "crop to foreground" in printed.out
    assert f"Bundle of 4 cases (mr2_001, mr2_002 … mr2_005): {bundle}" in printed.out
    assert f"Train it: mist-bundle train {bundle} --fold all" in printed.out
    assert "1 of 5 cases was left out." in printed.err
    assert printed.err.count("mr2_003") == 1


def test_analyze_prints_observations_and_the_page(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["analyze", str(data), "--output", str(tmp_path / "look"), "--pictures", "0"]
    assert cli.main(words) == EXIT_SOME_CASES_FAILED
    printed = capsys.readouterr()
    assert f"Measured 4 cases: {tmp_path / 'look' / 'data_report.html'}" in printed.out
    assert "1 of 5 cases was left out." in printed.err


def test_an_interrupted_run_says_how_to_continue() -> None:
    arguments = {"dataset_json": "my data.json", "output": "out"}
    with pytest.raises(Interrupted) as caught, _advice_when_interrupted(arguments):
        raise Interrupted(15, "Fold 1: epoch 3 of 5 is kept.", ["mist-bundle", "train", "…"])
    assert str(caught.value) == (
        "Fold 1: epoch 3 of 5 is kept. Continue with: mist-bundle run_all 'my data.json' --output out --resume"
    )
    assert caught.value.exit_code == 128 + 15
