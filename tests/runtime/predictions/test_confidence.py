"""What a prediction says about itself, with and without a calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mist_bundle.runtime.predictions.confidence import Confidence


def _confidence(folder: Path, content: Any, **settings: Any) -> Confidence:
    path = folder / "confidence.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return Confidence(str(path), ["liver"], **settings)


def _unsure(probability: float) -> np.ndarray:
    return np.stack([np.full((2, 2, 2), 1 - probability), np.full((2, 2, 2), probability)])


def test_a_bundle_that_was_not_calibrated_says_nothing(tmp_path: Path) -> None:
    for confidence in (
        Confidence(str(tmp_path / "none.json"), ["liver"]),
        _confidence(tmp_path, {"temperature": None, "because": "not calibrated yet"}),
    ):
        probabilities = _unsure(0.7)
        assert not confidence.is_known
        assert confidence.add(probabilities) is probabilities
        assert confidence.expected_dice() == {}
        assert confidence.doubts() == []


def test_doubts_name_the_class_and_both_numbers(tmp_path: Path) -> None:
    confidence = _confidence(tmp_path, {"temperature": 1.0, "review_below": {"liver": 0.9}})
    confidence.begin()
    confidence.add(_unsure(0.6))
    assert confidence.expected_dice() == {"liver": pytest.approx(2 * 0.6 / 1.6, abs=1e-4)}
    (sentence,) = confidence.doubts()
    assert sentence.startswith("liver: the expected Dice of this prediction is 0.75, lower")
    assert "(0.90); look at it." in sentence


def test_each_case_begins_anew(tmp_path: Path) -> None:
    confidence = _confidence(tmp_path, {"temperature": 1.0, "review_below": {"liver": 0.9}})
    for probability in (0.6, 0.99):
        confidence.begin()
        confidence.add(_unsure(probability))
    assert confidence.doubts() == []
    confidence.begin()
    assert confidence.expected_dice() == {}


@pytest.mark.parametrize("content", [[], {"temperature": "hot"}, {"temperature": 0}, {"temperature": float("inf")}])
def test_other_content_is_refused_with_the_file(tmp_path: Path, content: Any) -> None:
    with pytest.raises(ValueError, match=r"confidence\.json: .*alibrate again|confidence\.json: .*run calibrate again"):
        _confidence(tmp_path, content)
