"""The verb merge_fingerprints, and autoconfig by what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK


def test_two_sites_are_planned_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_phantom(tmp_path / "data", num_cases=4, shape=(16, 16, 12))
    cases = sorted((data.parent / "train").iterdir())
    other = tmp_path / "other"
    (other / "train").mkdir(parents=True)
    for case in cases[2:]:
        case.rename(other / "train" / case.name)
    (other / "dataset.json").write_text(data.read_text())
    files = []
    for number, site in enumerate((data, other / "dataset.json")):
        folder = tmp_path / f"site_{number}"
        assert cli.main(["analyze", str(site), "--output", str(folder), "--pictures", "0"]) == EXIT_OK
        files.append(str(folder / "fingerprint.json"))
    merged = str(tmp_path / "merged.json")
    capsys.readouterr()
    assert cli.main(["merge_fingerprints", *files, "--output", merged]) == EXIT_OK
    assert f"Fingerprint of 4 cases: {merged}" in capsys.readouterr().out
    patches = []
    for number, site in enumerate((data, other / "dataset.json")):
        folder = tmp_path / f"planned_{number}"
        words = ["autoconfig", str(site), "--output", str(folder), "--folds", "2", "--fingerprint", merged]
        assert cli.main(words) == EXIT_OK
        plan = json.loads(next(folder.glob("*/configs/plan.json")).read_text())
        assert plan["num_cases"] == 4
        patches.append(plan["decisions"])
    assert patches[0] == patches[1]


def test_the_same_file_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = make_phantom(tmp_path / "data", num_cases=2, shape=(16, 16, 12))
    assert cli.main(["analyze", str(data), "--output", str(tmp_path), "--pictures", "0"]) == EXIT_OK
    file = str(tmp_path / "fingerprint.json")
    assert cli.main(["merge_fingerprints", file, file, "--output", str(tmp_path / "m.json")]) == EXIT_INPUT_REFUSED
    assert "is in 2 of the fingerprints" in capsys.readouterr().err
