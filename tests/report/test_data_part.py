"""The sections about the data, from reports whose numbers are known."""

from __future__ import annotations

from typing import Any

import pytest

from mist_bundle.analysis.data_report import DataFacts, make_data_report
from mist_bundle.analysis.fingerprint import analyze_in_detail
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.report.data_part import data_sections
from tests.report.conftest import LIVER, NUM_CASES, Made
from tests.report.pages import Page


@pytest.fixture(scope="module")
def report(untrained: Made) -> dict[str, Any]:
    spec = DatasetSpec.from_json(untrained.dataset_json)
    found = find_cases(spec)
    fingerprint, details = analyze_in_detail(spec, found.cases, excluded=found.problems)
    return make_data_report(DataFacts.of_spec(spec), fingerprint, details)


def _section(report: dict[str, Any], name: str) -> Page:
    sections = data_sections(report, [], 2, "mist-bundle analyze")
    return Page({identity: markup for identity, _, markup in sections}[name])


def test_overview_has_the_numbers_of_the_report(report: dict[str, Any]) -> None:
    text = _section(report, "data").text
    assert f"usable cases {NUM_CASES}" in text
    assert "excluded 1" in text
    assert "channels t1, t2" in text
    for sentence in report["observations"]:
        assert sentence in text
    alike = {**report, "observations": [], "description": ""}
    text = _section(alike, "data").text
    assert "None: the cases are similar and complete." in text
    assert f"The dataset “{report['task']}”." in text


def test_every_structure_has_a_row(report: dict[str, Any]) -> None:
    page = _section(report, "structures")
    for name, stats in report["structures"].items():
        assert f"{stats['present_in']} ({stats['presence_percent']:.0f} %)" in page.text
        assert name in page.text
    assert LIVER in page.text


def test_without_details_the_command_is_named(report: dict[str, Any]) -> None:
    structures = {}
    for name, stats in report["structures"].items():
        structures[name] = {key: value for key, value in stats.items() if key not in ("shape", "components")}
    plain = {**report, "detailed": False, "structures": structures}
    assert "Shapes and lesions were not measured. Run: mist-bundle analyze" in _section(plain, "structures").text


def test_brightness_that_differs_by_scale_has_a_logarithmic_axis(report: dict[str, Any]) -> None:
    assert "t1: labelled voxels" in _section(report, "distributions").text
    cases = []
    for index, case in enumerate(report["cases"]):
        channels = {}
        for name, channel in case["channels"].items():
            channels[name] = {key: 100.0**index * abs(value) + 1 for key, value in channel.items()}
        cases.append({**case, "channels": channels})
    text = _section({**report, "cases": cases}, "distributions").text
    assert "t1: labelled voxels" not in text
    assert "times the mean of the image" in text


def test_excluded_cases_and_warnings_have_reasons(report: dict[str, Any], untrained: Made) -> None:
    text = _section(report, "excluded").text
    assert f"{untrained.excluded} t1.nii.gz: is cut short" in text
    nothing = {**report, "excluded": [], "findings": [{"path": "labels", "message": "[9] occur in no case."}]}
    text = _section(nothing, "excluded").text
    assert "No case was excluded." in text
    assert "labels [9] occur in no case." in text


def test_without_files_there_are_no_pictures(report: dict[str, Any]) -> None:
    assert "The files of the cases are not available." in _section(report, "pictures").text
