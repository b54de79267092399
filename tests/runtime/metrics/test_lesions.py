"""Lesion-wise metrics: hand-made scenes, and what MIST gets wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from mist_bundle.runtime.metrics.case import EmptyRule, score_case
from mist_bundle.runtime.metrics.menu import METRICS

from .independent import lesion_metrics

LESION_METRICS = [name for name in METRICS if name.startswith("lesion_")]
SHAPE = (40, 30, 20)
DIAGONAL = math.sqrt(40**2 + 30**2 + 20**2)


def _scene(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A label map of cubes: corner x, y, z and side."""
    label = np.zeros(SHAPE, np.uint8)
    for x, y, z, side in boxes:
        label[x : x + side, y : y + side, z : z + side] = 1
    return label


def _score(prediction: np.ndarray, reference: np.ndarray, protocol: str = "mist", **options: Any) -> dict[str, float]:
    chosen = {name: {"protocol": protocol, **options} for name in LESION_METRICS}
    scores = score_case(prediction, reference, (1, 1, 1), {"x": (1,)}, LESION_METRICS, options=chosen)
    return {name.removeprefix("x_lesion_"): value for name, value in scores.items()}


PERFECT = {
    "dice": 1.0,
    "hd95": 0.0,
    "surface_dice": 1.0,
    "f1": 1.0,
    "false_positives": 0.0,
    "false_negatives": 0.0,
}
LARGE, OTHER, SMALL = (5, 5, 5, 4), (25, 15, 10, 3), (15, 22, 3, 1)


def _with_small_lesion(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    label = _scene(*boxes)
    label[15:18, 22, 3] = 1  # 3 mm³
    return label


def test_perfect_prediction_with_a_small_lesion_is_perfect() -> None:
    # MIST 2.3.0: Dice .5, F1 .67, for the found small lesion counts as a false positive
    label = _with_small_lesion(LARGE)
    assert _score(label, label) == PERFECT


def test_nothing_but_small_lesions_is_perfect_whether_found_or_not() -> None:
    label = _with_small_lesion()
    assert _score(label, label) == PERFECT
    assert _score(np.zeros_like(label), label) == PERFECT
    assert _score(label, np.zeros_like(label)) == PERFECT


def test_small_false_positives_count_as_in_brats_unless_mists_protocol_is_chosen() -> None:
    prediction, reference = _with_small_lesion(LARGE), _scene(LARGE)
    assert _score(prediction, reference) == PERFECT
    assert _score(prediction, reference, "brats2023-gli")["false_positives"] == 1
    assert _score(prediction, reference, "brats2023-gli")["dice"] == pytest.approx(0.5)
    assert _score(prediction, reference, "brats2023-gli", small_false_positives=False) == PERFECT


def test_default_is_the_challenge_of_gliomas() -> None:
    prediction, reference = _with_small_lesion(LARGE), _scene(LARGE, OTHER)
    scores = score_case(prediction, reference, (1, 1, 1), {"x": (1,)}, LESION_METRICS)
    named = _score(prediction, reference, "brats2023-gli")
    assert scores == {f"x_lesion_{name}": value for name, value in named.items()}


@pytest.mark.parametrize(("protocol", "counted"), [("brats2023-gli", 0), ("brats2023-men", 0), ("brats2023-met", 1)])
def test_each_challenge_has_its_smallest_lesion(protocol: str, counted: int) -> None:
    small = _with_small_lesion()  # 3 mm³
    assert _score(np.zeros_like(small), small, protocol)["false_negatives"] == counted


@pytest.mark.parametrize(("protocol", "counted"), [("brats2023-gli", 1), ("brats2023-met", 2)])
def test_each_challenge_joins_lesions_within_its_own_distance(protocol: str, counted: int) -> None:
    reference = _scene((5, 5, 5, 4), (13, 5, 5, 4))  # four voxels apart: they meet when each grows by two or more
    assert _score(np.zeros_like(reference), reference, protocol)["false_negatives"] == counted


def test_a_lesion_of_exactly_the_smallest_volume_does_not_count() -> None:
    reference = np.zeros(SHAPE, np.uint8)
    reference[5:10, 5:10, 5:7] = 1  # 50 mm³
    assert _score(np.zeros_like(reference), reference, "brats2023-gli")["false_negatives"] == 0
    reference[10, 5, 5] = 1
    assert _score(np.zeros_like(reference), reference, "brats2023-gli")["false_negatives"] == 1


def test_small_component_counts_once_the_threshold_is_lower() -> None:
    scores = _score(_with_small_lesion(LARGE), _scene(LARGE), min_volume_mm3=2)
    assert scores["false_positives"] == 1
    assert scores["dice"] == pytest.approx(0.5)
    assert scores["f1"] == pytest.approx(2 / 3)


def test_missed_and_invented_lesions_count_the_diagonal_of_the_whole_image() -> None:
    # the masks fill a small part of the image: MIST took the diagonal of that part
    missed = _score(_scene(LARGE), _scene(LARGE, OTHER))
    assert missed["dice"] == pytest.approx(0.5)
    assert missed["hd95"] == pytest.approx(DIAGONAL / 2)
    assert (missed["false_negatives"], missed["false_positives"]) == (1, 0)
    invented = _score(_scene(LARGE, OTHER), _scene(LARGE))
    assert invented["hd95"] == pytest.approx(DIAGONAL / 2)
    assert invented["surface_dice"] == pytest.approx(0.5)
    assert invented["f1"] == pytest.approx(2 / 3)
    assert (invented["false_negatives"], invented["false_positives"]) == (0, 1)


def test_penalty_agrees_with_the_plain_metric_where_all_is_missed() -> None:
    empty, label = np.zeros(SHAPE, np.uint8), _scene(LARGE, OTHER)
    for pair in ((empty, label), (label, empty)):
        scores = score_case(*pair, (1, 1, 1), {"x": (1,)}, ["hd95", "lesion_hd95", "dice", "lesion_dice"])
        assert scores["x_hd95"] == pytest.approx(scores["x_lesion_hd95"])
        assert scores["x_hd95"] == pytest.approx(DIAGONAL)
        assert scores["x_dice"] == scores["x_lesion_dice"] == 0


def test_penalty_and_emptiness_follow_the_rule() -> None:
    empty, label = np.zeros(SHAPE, np.uint8), _scene(LARGE)
    metrics = ["hd95", "lesion_hd95", "lesion_f1"]
    scores = score_case(empty, label, (1, 1, 1), {"x": (1,)}, metrics, empty=EmptyRule(distance_mm=374))
    assert scores == {"x_hd95": 374, "x_lesion_hd95": 374, "x_lesion_f1": 0}
    # a lesion that was missed is defined under any rule; the distance to nothing is not
    scores = score_case(empty, label, (1, 1, 1), {"x": (1,)}, metrics, empty=EmptyRule(one_empty="nan"))
    assert math.isnan(scores.pop("x_hd95"))
    assert scores == {"x_lesion_hd95": pytest.approx(DIAGONAL), "x_lesion_f1": 0}


def test_nothing_to_score_follows_the_rule_for_empty_masks() -> None:
    empty, small = np.zeros(SHAPE, np.uint8), _with_small_lesion()
    for pair in ((empty, empty), (empty, small)):
        scores = score_case(*pair, (1, 1, 1), {"x": (1,)}, LESION_METRICS, empty=EmptyRule(both_empty="nan"))
        counts = {name: scores.pop(f"x_lesion_{name}") for name in ("false_positives", "false_negatives")}
        assert counts == {"false_positives": 0, "false_negatives": 0}
        assert all(math.isnan(value) for value in scores.values())


def test_each_lesion_counts_the_same_and_near_components_belong_to_it() -> None:
    reference = _scene(LARGE, OTHER)
    # the large lesion is found by half; the other by a component two voxels beside it, which its dilation reaches
    prediction = _scene((5, 5, 5, 4), (30, 15, 10, 3))
    prediction[5:7, 5:9, 5:9] = 0
    scores = _score(prediction, reference)
    assert scores["false_positives"] == scores["false_negatives"] == 0
    assert scores["f1"] == 1
    assert scores["dice"] == pytest.approx((2 * 32 / (32 + 64) + 0) / 2)
    assert _score(prediction, reference, dilation=1)["false_negatives"] == 1


def test_components_join_by_corners_in_brats_and_by_edges_in_mist() -> None:
    by_edge = _scene((5, 5, 5, 3), (8, 8, 5, 3))
    by_corner = _scene((5, 5, 5, 3), (8, 8, 8, 3))
    empty = np.zeros(SHAPE, np.uint8)
    assert _score(empty, by_edge)["false_negatives"] == 1
    assert _score(empty, by_corner)["false_negatives"] == 2
    assert _score(empty, by_corner, consolidation=1)["false_negatives"] == 1
    assert _score(empty, by_corner, "brats2023-met", consolidation=0)["false_negatives"] == 1
    assert _score(empty, by_edge, connectivity=6)["false_negatives"] == 2


def test_consolidation_joins_lesions_that_meet_when_grown() -> None:
    reference = _scene((5, 5, 5, 3), (12, 5, 5, 3))  # four voxels apart
    prediction = _scene((5, 5, 5, 3))
    assert _score(prediction, reference)["false_negatives"] == 1
    joined = _score(prediction, reference, consolidation=2)
    assert joined["false_negatives"] == 0
    assert joined["dice"] == pytest.approx(2 * 27 / (27 + 54))


def _specks(seed: int, shape: tuple[int, int, int], level: float) -> np.ndarray:
    """Blobs of very different sizes, some of them below any threshold."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return noise > level * noise.std()


@pytest.mark.parametrize("protocol", ["brats2023-gli", "brats2023-men", "brats2023-met"])
@pytest.mark.parametrize(("seed", "spacing_mm"), [(0, (1.0, 1.0, 1.0)), (1, (0.8, 0.8, 3.0)), (2, (0.8, 0.8, 3.0))])
def test_every_lesion_metric_is_its_definition(
    seed: int, spacing_mm: tuple[float, float, float], protocol: str
) -> None:
    shape = (48, 44, 30)
    reference = _specks(seed, shape, 1.9)
    # some lesions are found in part, those on one side are missed, and some are invented
    prediction = np.roll(reference, 1, axis=seed % 3) & _specks(seed + 50, shape, -0.7)
    prediction[24:] = False
    prediction |= _specks(seed + 9, shape, 2.5)
    reference[:, :10] = False
    # far from all others: the protocol that grows most joins nearly all the rest
    reference[30:], prediction[30:] = False, False
    reference[40:45, 36:41, 20:25] = True
    diagonal_mm = float(np.linalg.norm(np.multiply(shape, spacing_mm)))
    dilation, volume_mm3 = {"brats2023-gli": (3, 50), "brats2023-men": (1, 50), "brats2023-met": (1, 2)}[protocol]
    expected = lesion_metrics(
        prediction,
        reference,
        spacing_mm,
        tolerance_mm=1.31,
        diagonal_mm=diagonal_mm,
        min_volume_mm3=volume_mm3,
        dilation=dilation,
    )
    assert expected["lesion_false_positives"] > 0
    assert expected["lesion_false_negatives"] > 0
    assert 0 < expected["lesion_f1"] < 1
    scores = score_case(
        prediction.astype(np.uint8),
        reference.astype(np.uint8),
        spacing_mm,
        {"x": (1,)},
        LESION_METRICS,
        options={
            name: {"protocol": protocol, **({"tolerance_mm": 1.31} if name == "lesion_surface_dice" else {})}
            for name in LESION_METRICS
        },
    )
    assert scores == pytest.approx({f"x_{name}": value for name, value in expected.items()}, abs=1e-6)
