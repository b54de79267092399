"""The part about confidence, from the account that calibrate leaves behind."""

from __future__ import annotations

from typing import Any

from mist_bundle.bundle.folder import Bundle
from mist_bundle.files import CALIBRATION_JSON, write_json
from mist_bundle.report.confidence_part import confidence_section
from tests.report.conftest import LIVER, Made
from tests.report.pages import Page

ACCOUNT: dict[str, Any] = {
    "temperature": 1.5,
    "calibration_error_before": 0.1234,
    "calibration_error_after": 0.0123,
    "num_cases": 2,
    "review_below": {LIVER: 0.81},
    "expected_dice_error": {LIVER: 0.02},
    "reliability": {"before": [[0.6, 0.4, 0.5], [0.9, 0.7, 0.5]], "after": [[0.55, 0.5, 1.0]]},
    "cases": [
        {"id": "good", "fold": 0, "expected": {LIVER: 0.95}, "true": {LIVER: 0.94}},
        {"id": "poor", "fold": 1, "expected": {LIVER: 0.55}, "true": {LIVER: 0.6}},
        {"id": "empty", "fold": 1, "expected": {}, "true": {LIVER: 0.0}},
    ],
}


def test_before_the_calibration_the_page_names_the_commands(untrained: Made) -> None:
    page = Page(str(confidence_section(untrained.work_dir, Bundle(untrained.bundle).plan, "liver")))
    assert "mist-bundle evaluate liver --save_probabilities true && mist-bundle calibrate liver" in page.text


def test_reliability_and_the_least_certain_cases_are_shown(untrained: Made, tmp_path: Any) -> None:
    write_json(tmp_path / CALIBRATION_JSON, ACCOUNT)
    page = Page(str(confidence_section(tmp_path, Bundle(untrained.bundle).plan, "liver")))
    for words in ("1.500", "0.1234", "0.0123", "Reliability", "calibrated", "as predicted"):
        assert words in page.text
    assert page.text.index("poor") < page.text.index("good")
    assert "empty" not in page.text
