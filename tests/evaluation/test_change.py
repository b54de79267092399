"""The weighted change of quality, by hand."""

from __future__ import annotations

import pytest

from mist_bundle.errors import InputError
from mist_bundle.evaluation.change import check_weights, measure_change, quality
from mist_bundle.evaluation.score import Scored, ScoreSettings
from mist_bundle.runtime.metrics.case import EmptyRule

CLASSES = {"a": (1,), "b": (2,)}
SETTINGS = ScoreSettings(final_classes=CLASSES, metrics=("dice", "hd95"))


def _scored(identity: str, dice: tuple[float, float], hd95: tuple[float, float], diagonal_mm: float = 100.0) -> Scored:
    scores = {"a_dice": dice[0], "a_hd95": hd95[0], "b_dice": dice[1], "b_hd95": hd95[1]}
    return Scored(id=identity, scores=scores, diagonal_mm=diagonal_mm)


def test_quality_puts_both_metrics_on_one_scale() -> None:
    scored = _scored("1", (0.9, 0.7), (10.0, 30.0))
    # Dice .8; HD95 1 - 20 / 100 = .8
    assert quality(scored, SETTINGS, {"dice": 1.0, "hd95": 1.0}) == pytest.approx(0.8)
    # a distance of the whole diagonal and a Dice of 0 are worth nothing, a perfect case is worth 1
    assert quality(_scored("1", (0, 0), (100, 100)), SETTINGS, {"dice": 1.0, "hd95": 1.0}) == 0
    assert quality(_scored("1", (1, 1), (0, 0)), SETTINGS, {"dice": 1.0, "hd95": 1.0}) == 1
    # 3/4 of Dice .8 and 1/4 of HD95's .6
    shorter = _scored("1", (0.9, 0.7), (10.0, 30.0), diagonal_mm=50.0)
    assert quality(shorter, SETTINGS, {"dice": 3.0, "hd95": 1.0}) == pytest.approx(0.75)


def test_change_is_the_weighted_mean_over_cases_and_classes() -> None:
    before = [_scored("1", (0.8, 0.6), (20.0, 20.0)), _scored("2", (0.5, 0.5), (10.0, 10.0))]
    after = [_scored("1", (0.8, 0.8), (10.0, 10.0)), _scored("2", (0.4, 0.5), (10.0, 10.0))]
    # case 1: Dice +.1, HD95 +.1; case 2: Dice -.05, HD95 0
    change = measure_change(before, after, SETTINGS, {"dice": 1.0, "hd95": 1.0})
    assert change.total == pytest.approx((0.1 - 0.025) / 2)
    assert change.by_metric == pytest.approx({"dice": 0.025, "hd95": 0.05})
    assert change.columns["b_dice"] == pytest.approx((0.55, 0.65))
    assert (change.improved, change.worsened) == (("1",), ("2",))
    only_dice = measure_change(before, after, SETTINGS, {"dice": 1.0, "hd95": 0.0})
    assert only_dice.total == pytest.approx(0.025)
    assert measure_change(before, before, SETTINGS, {"dice": 1.0, "hd95": 1.0}).total == 0
    assert change.to_json({"dice": 1.0})["columns"]["b_dice"] == pytest.approx({"before": 0.55, "after": 0.65})


def test_distance_beyond_a_worst_value_set_by_hand_is_worth_nothing() -> None:
    settings = ScoreSettings(final_classes=CLASSES, metrics=("hd95",), empty=EmptyRule(distance_mm=20.0))
    assert quality(_scored("1", (0, 0), (30.0, 10.0)), settings, {"hd95": 1.0}) == pytest.approx(0.25)


def test_weights_are_checked() -> None:
    assert check_weights(SETTINGS, None) == {"dice": 1.0, "hd95": 1.0}
    assert check_weights(SETTINGS, {"dice": 2}) == {"dice": 2.0, "hd95": 0.0}
    unbounded = ScoreSettings(final_classes=CLASSES, metrics=("dice", "volume_difference"))
    undefined = ScoreSettings(final_classes=CLASSES, empty=EmptyRule(one_empty="nan"))
    for settings, weights, said in (
        (SETTINGS, {"iou": 1.0}, "names 'iou', which is not among"),
        (SETTINGS, {"dice": -1.0}, "gives dice the weight -1.0"),
        (SETTINGS, {"dice": float("nan")}, "gives dice the weight nan"),
        (SETTINGS, {"dice": 0.0}, "are all 0"),
        (unbounded, None, "volume_difference has no worst value"),
        (undefined, None, "a class that vanishes would cost nothing"),
    ):
        with pytest.raises(InputError) as caught:
            check_weights(settings, weights)
        assert said in str(caught.value)
