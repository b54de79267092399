"""The options of scoring, as the scorer and evaluate.json take them."""

from __future__ import annotations

import pytest

from mist_bundle.api.kinds import SCORING
from mist_bundle.api.scoring import named_scoring, scoring_of
from mist_bundle.errors import InputError


def test_defaults_of_scoring_are_those_of_the_table() -> None:
    metrics, options, rule = scoring_of({})
    assert metrics == SCORING["metrics"].default
    assert options is None
    assert (rule.both_empty, rule.one_empty, rule.distance_mm) == ("best", "worst", None)


def test_metrics_of_evaluate_json_have_their_full_names() -> None:
    assert named_scoring({"epochs": 3}) == {"epochs": 3}
    assert named_scoring({"metrics": ("dice", "hd95")})["metrics"] == ["dice", "hd95"]
    with pytest.raises(InputError, match="dise"):
        named_scoring({"metrics": ("dise",)})
