"""The analyze command: its files, its page, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.dataset.phantom import make_phantom
from mist_bundle.errors import EXIT_INPUT_REFUSED, EXIT_OK, EXIT_SOME_CASES_FAILED
from mist_bundle.report.data_page import data_page
from tests.report.conftest import LIVER, NUM_CASES, Made
from tests.report.pages import check_page

FILES = {"data_report.html", "data_report.md", "data_report.json", "fingerprint.json"}


def test_analyze_writes_page_text_and_numbers(
    untrained: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["analyze", str(untrained.dataset_json), "--output", str(tmp_path), "--pictures", "3"]
    assert cli.main(words) == EXIT_SOME_CASES_FAILED, "one case is damaged"
    captured = capsys.readouterr()
    assert untrained.excluded in captured.err
    assert "1 of 8 cases cannot be used" in captured.out
    assert {path.name for path in tmp_path.iterdir()} == FILES
    report = json.loads((tmp_path / "data_report.json").read_text(encoding="utf-8"))
    assert report["num_cases"] == NUM_CASES
    assert Fingerprint.read(tmp_path / "fingerprint.json").case_ids == tuple(case["id"] for case in report["cases"])
    _check_html((tmp_path / "data_report.html").read_text(encoding="utf-8"), untrained)
    _check_markdown((tmp_path / "data_report.md").read_text(encoding="utf-8"), untrained)


def test_brightness_that_differs_by_scale_is_shown_relative_to_the_image(untrained: Made, tmp_path: Path) -> None:
    cli.main(["analyze", str(untrained.dataset_json), "--output", str(tmp_path), "--pictures", "0"])
    report = json.loads((tmp_path / "data_report.json").read_text(encoding="utf-8"))
    assert "times the mean of the image" not in data_page(report, [], 0)
    for index, case in enumerate(report["cases"]):
        scale = 10.0**index
        for structure in case["structures"].values():
            structure["intensity"]["t1"][0] *= scale
        for key in ("low", "mean", "high"):
            case["channels"]["t1"][key] *= scale
    page = check_page(data_page(report, [], 0))
    assert page.text.count("times the mean of the image") == 1
    assert "t1: labelled voxels" not in page.text
    assert "t2: labelled voxels" in page.text


def _check_html(text: str, made: Made) -> None:
    page = check_page(text)
    assert LIVER in page.text
    assert "Organs & <b>ellipsoids</b>" in page.text
    assert f"{made.excluded} t1.nii.gz: is cut short" in page.text
    # three cases in three planes, and one case in both channels
    assert len(page.all("img")) == 3 * 3 + 2
    charts = [svg for svg in page.all("svg") if svg.get("class") == "chart"]
    assert len(charts) == 3 + 3 + 2 * 3
    assert all(svg.get("role") == "img" for svg in charts)
    assert len(page.all("script")) == 1, "the page's own; none from a class name"


def _check_markdown(text: str, made: Made) -> None:
    assert text.startswith("# Data: phantom_mr2")
    assert f"- {made.excluded}: t1.nii.gz: is cut short" in text
    lines = [line for line in text.splitlines() if line.startswith("| kidney |")]
    assert len(lines) == 1
    header = next(line for line in text.splitlines() if line.startswith("| structure"))
    assert lines[0].count("|") == header.count("|")


def test_files_that_are_there_stay(untrained: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data_report.md").write_text("mine", encoding="utf-8")
    words = ["analyze", str(untrained.dataset_json), "--output", str(tmp_path)]
    assert cli.main(words) == EXIT_INPUT_REFUSED
    assert "data_report.md: exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data_report.md"]


@pytest.mark.slow
def test_workers_give_the_same_files(tmp_path: Path) -> None:
    data = make_phantom(tmp_path / "data", kind="ct", num_cases=2, shape=(20, 18, 12))
    for name, workers in (("one", "1"), ("two", "2")):
        assert cli.main(["analyze", str(data), "--output", str(tmp_path / name), "--workers", workers]) == EXIT_OK
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
