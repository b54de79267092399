"""Lesions that a validation finds, misses and makes up."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine

from mist_bundle.runtime.handlers.lesion_detection import LesionDetection


def _volume(*lesions: tuple[int, int, int, int]) -> torch.Tensor:
    """(1, 16, 16, 16) with cubes of two voxels at places, of an index each."""
    volume = torch.zeros(1, 16, 16, 16, dtype=torch.uint8)
    for x, y, z, index in lesions:
        volume[0, x : x + 2, y : y + 2, z : z + 2] = index
    return volume


def _scores(cases: list[tuple[torch.Tensor, torch.Tensor]], **settings: Any) -> dict[str, float]:
    outputs = [{"pred": prediction, "label": label} for prediction, label in cases]
    evaluator = Engine(lambda engine, number: [outputs[number]])
    LesionDetection({"a": [1], "b": [2], "c": [3]}, **settings).attach(evaluator)
    evaluator.run(range(len(outputs)))
    scores: dict[str, float] = evaluator.state.lesion_f1
    return scores


def test_found_missed_and_false_lesions_of_all_cases_count_together() -> None:
    label = _volume((1, 1, 1, 1), (8, 8, 8, 1), (12, 2, 2, 2))
    prediction = _volume((2, 2, 2, 1), (1, 12, 12, 1), (12, 2, 2, 2))
    other = _volume((5, 5, 5, 1))
    scores = _scores([(prediction, label), (other, other)])
    assert scores == {"a": 2 * 2 / (2 * 2 + 1 + 1), "b": 1.0}


def test_a_new_validation_begins_at_zero() -> None:
    handler = LesionDetection({"a": [1]})
    evaluator = Engine(lambda engine, pair: [{"pred": pair[0], "label": pair[1]}])
    handler.attach(evaluator)
    lesion, nothing = _volume((1, 1, 1, 1)), _volume()
    evaluator.run([(nothing, lesion)])
    assert evaluator.state.lesion_f1 == {"a": 0.0}
    evaluator.run([(lesion, lesion)])
    assert evaluator.state.lesion_f1 == {"a": 1.0}


def test_predictions_where_nobody_has_labelled_are_no_false_lesions() -> None:
    label = _volume((1, 1, 1, 1))
    label[0, 8:] = 9
    prediction = _volume((1, 1, 1, 1), (12, 12, 12, 1))
    assert _scores([(prediction, label)], ignore_index=9) == {"a": 1.0}
