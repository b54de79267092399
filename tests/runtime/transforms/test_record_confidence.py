"""The expected Dice of a case lands in its record, and doubts in the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.runtime.predictions.confidence import Confidence
from mist_bundle.runtime.predictions.records import Predictions
from mist_bundle.runtime.transforms.record_confidence import RecordConfidenced


def test_record_and_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "confidence.json"
    path.write_text(json.dumps({"temperature": 1.0, "review_below": {"liver": 0.9}}), encoding="utf-8")
    confidence = Confidence(str(path), ["liver"])
    confidence.begin()
    confidence.add(np.stack([np.full((2, 2, 2), 0.4), np.full((2, 2, 2), 0.6)]))
    predictions = Predictions(tmp_path)
    RecordConfidenced(confidence, predictions)({"id": "case_1"})
    label_map = tmp_path / "case_1.nii.gz"
    label_map.write_bytes(b"label map")
    predictions.commit("case_1", label_map)
    record = json.loads((tmp_path / "records/case_1.json").read_text(encoding="utf-8"))
    assert record["expected_dice"] == {"liver": 0.75}
    assert "warning: case_1: liver: the expected Dice of this prediction is" in "".join(capsys.readouterr())


def test_without_a_calibration_the_record_is_as_before(tmp_path: Path) -> None:
    predictions = Predictions(tmp_path)
    RecordConfidenced(Confidence(str(tmp_path / "none.json"), ["liver"]), predictions)({"id": "case_1"})
    label_map = tmp_path / "case_1.nii.gz"
    label_map.write_bytes(b"label map")
    predictions.commit("case_1", label_map)
    assert "expected_dice" not in json.loads((tmp_path / "records/case_1.json").read_text(encoding="utf-8"))
