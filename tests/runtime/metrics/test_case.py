"""Dice and HD95 against MONAI, closed forms, and brute force over surface points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice

from mist_bundle.runtime.metrics.case import EmptyRule, score_case, without_unknown
from mist_bundle.runtime.metrics.menu import METRICS

CLASSES = {"all": (1, 2), "two": (2,)}


def _label_map(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(size) for size in (24, 20, 16)], indexing="ij"))
    label = np.zeros((24, 20, 16), dtype=np.uint8)
    for value in (1, 2):
        centre = generator.uniform(7, 11, 3)[:, None, None, None]
        label[((grid - centre) ** 2).sum(0) < generator.uniform(9, 30)] = value
    return label


@pytest.mark.parametrize("seed", range(4))
def test_dice_is_monais(seed: int) -> None:
    prediction, reference = _label_map(seed), _label_map(seed + 10)
    scores = score_case(prediction, reference, (1, 1, 1), CLASSES, ["dice"])
    for name, labels in CLASSES.items():
        masks = [torch.tensor(np.isin(one, labels))[None, None] for one in (prediction, reference)]
        assert scores[f"{name}_dice"] == pytest.approx(float(compute_dice(*masks)), abs=1e-6)


def test_shifted_box_in_millimetres() -> None:
    reference = np.zeros((30, 30, 30), dtype=np.uint8)
    reference[5:15, 5:15, 5:15] = 2
    prediction = np.roll(reference, 3, axis=2)
    scores = score_case(prediction, reference, (1.0, 1.0, 2.5), CLASSES, ["dice", "hd95"])
    assert scores["two_dice"] == pytest.approx(0.7)
    # both end faces lie 3 voxels of 2.5 mm apart, and each is a sixth or so of the surface
    assert scores["two_hd95"] == pytest.approx(7.5)


@pytest.mark.parametrize("seed", range(3))
def test_hd95_lies_near_monais_unweighted_one(seed: int) -> None:
    prediction, reference = _label_map(seed), _label_map(seed + 10)
    own = score_case(prediction, reference, (1, 1, 1), {"all": (1, 2)}, ["hd95"])["all_hd95"]
    masks = [torch.tensor(one > 0)[None, None] for one in (prediction, reference)]
    monais = float(compute_hausdorff_distance(*masks, include_background=True, percentile=95))
    # voxel centres there, voxel corners with their areas here
    assert own == pytest.approx(monais, abs=1.0)


def test_empty_masks() -> None:
    empty, full = np.zeros((4, 5, 6), dtype=np.uint8), np.full((4, 5, 6), 2, dtype=np.uint8)
    both = score_case(empty, empty, (1, 2, 3), CLASSES, ["dice", "hd95"])
    assert both["two_dice"] == 1.0
    assert both["two_hd95"] == 0.0
    for pair in ((empty, full), (full, empty)):
        one = score_case(*pair, (1, 2, 3), CLASSES, ["dice", "hd95"])
        assert one["two_dice"] == 0.0
        assert one["two_hd95"] == pytest.approx(math.sqrt(4**2 + 10**2 + 18**2))


def test_perfect_prediction() -> None:
    label = _label_map(0)
    assert set(score_case(label, label, (1, 1, 3), {"all": (1, 2)}, ["dice"]).values()) == {1.0}
    assert set(score_case(label, label, (1, 1, 3), {"all": (1, 2)}, ["hd95"]).values()) == {0.0}


def test_unknown_metric_is_named() -> None:
    with pytest.raises(ValueError, match=r"'dic' is not a metric.*Did you mean 'dice'"):
        score_case(_label_map(0), _label_map(0), (1, 1, 1), CLASSES, ["dic"])


def test_perfect_prediction_has_the_best_value_of_every_metric() -> None:
    label = _label_map(1)
    scores = score_case(label, label, (0.7, 0.7, 3), CLASSES, list(METRICS))
    assert scores == {f"{one}_{name}": metric.best for one in CLASSES for name, metric in METRICS.items()}


def test_empty_rule_is_settable() -> None:
    empty, full = np.zeros((4, 5, 6), dtype=np.uint8), np.full((4, 5, 6), 2, dtype=np.uint8)
    names = [name for name, row in METRICS.items() if not row.defined_for_one_empty]
    assert len(names) > 8
    rule = EmptyRule(both_empty="nan", one_empty="nan")
    for pair in ((empty, empty), (empty, full), (full, empty)):
        assert all(math.isnan(value) for value in score_case(*pair, (1, 1, 1), CLASSES, names, empty=rule).values())
    limited = score_case(empty, full, (1, 1, 1), CLASSES, ["hd95", "dice"], empty=EmptyRule(distance_mm=374.0))
    assert limited == {"all_hd95": 374.0, "all_dice": 0.0, "two_hd95": 374.0, "two_dice": 0.0}
    with pytest.raises(ValueError, match="both_empty is 'zero'"):
        score_case(empty, full, (1, 1, 1), CLASSES, names, empty=EmptyRule(both_empty="zero"))


def test_every_metric_is_defined_for_empty_masks() -> None:
    empty, full = np.zeros((4, 5, 6), dtype=np.uint8), np.full((4, 5, 6), 2, dtype=np.uint8)
    for pair in ((empty, empty), (empty, full), (full, empty)):
        scores = score_case(*pair, (2, 2, 2), CLASSES, list(METRICS))
        assert all(math.isfinite(value) for value in scores.values())
    # 120 voxels of 8 mm³
    assert score_case(empty, full, (2, 2, 2), CLASSES, ["volume_difference"])["two_volume_difference"] == 0.96


def test_labels_that_are_no_labels_are_refused() -> None:
    label = _label_map(0)
    with pytest.raises(ValueError, match=r"prediction holds 0\.5; labels must be whole numbers"):
        score_case(np.where(label == 1, 0.5, label), label, (1, 1, 1), CLASSES, ["dice"])
    with pytest.raises(ValueError, match=r"prediction holds the label 7 \(\d+ voxels\); expected only \[0, 1, 2\]"):
        score_case(np.where(label == 1, 7, label), label, (1, 1, 1), CLASSES, ["dice"], labels=(0, 1, 2))
    many = np.arange(label.size, dtype=np.int32).reshape(label.shape)
    with pytest.raises(
        ValueError, match=rf"label 3 \(1 voxel\), .* 10 \(1 voxel\) and {label.size - 11} more; expected"
    ):
        score_case(many, label, (1, 1, 1), CLASSES, ["dice"], labels=(0, 1, 2))
    with pytest.raises(ValueError, match="same three dimensions"):
        score_case(label, label[1:], (1, 1, 1), CLASSES, ["dice"])


@pytest.mark.parametrize("values", [(1, 2, 7, 200), (1, 70_000, 3, 9), (-5, 1, 2, 4)])
def test_class_is_scored_as_if_it_were_alone(values: tuple[int, ...]) -> None:
    generator = np.random.default_rng(3)
    shape = (30, 26, 22)
    maps = []
    for shift in (0, 1):
        label = np.zeros(shape, dtype=np.int32)
        for index, value in enumerate(values):
            start = (2 + 6 * index + shift, 3 + 4 * index, 2 + 3 * index)
            label[tuple(slice(one, one + 6) for one in start)] = value
        label[generator.random(shape) < 0.01] = values[1]
        maps.append(label)
    classes = {f"{value}": (value,) for value in values}
    classes |= {"two": values[1:3], "absent": (50,), "rest": (0, values[0])}
    scores = score_case(*maps, (1.0, 1.5, 2.0), classes, list(METRICS))
    for name, members in classes.items():
        alone = [np.isin(one, members).astype(np.uint8) for one in maps]
        expected = score_case(*alone, (1.0, 1.5, 2.0), {name: (1,)}, list(METRICS))
        for column, value in expected.items():
            assert scores[column] == pytest.approx(value, rel=1e-12), column


def test_classes_with_a_label_that_was_not_annotated_have_no_value():
    scores = {"a_dice": 0.5, "ab_dice": 0.6, "b_dice": 0.7}
    classes = {"a": [1], "ab": [1, 2], "b": [2]}
    known = without_unknown(scores, classes, ["dice"], {2})
    assert known["a_dice"] == 0.5
    assert math.isnan(known["ab_dice"])
    assert math.isnan(known["b_dice"])
    assert without_unknown(scores, classes, ["dice"], set()) == scores
