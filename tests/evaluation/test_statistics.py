"""Tests and intervals against hand-worked examples and other formulas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from mist_bundle.evaluation.statistics import holm, interval, resampled_means, wilcoxon_p


def _every_sign(differences: np.ndarray) -> float:
    """The signed-rank test by its definition: all ways to give the ranks signs are equally likely."""
    ranks = stats.rankdata(np.abs(differences))
    total = ranks.sum() / 2
    seen = abs(ranks[differences > 0].sum() - total)
    sums = [sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign) for signs in _signs(len(ranks))]
    return float(np.mean([abs(one - total) >= seen - 1e-9 for one in sums]))


def _signs(count: int):
    return itertools.product((False, True), repeat=count)


@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_is_the_count_of_all_signs(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.4, 1, size=9)
    assert wilcoxon_p(differences) == pytest.approx(_every_sign(differences))


def test_wilcoxon_by_hand() -> None:
    # five positive differences: both extremes of 2^5 signs, 2 / 32
    assert wilcoxon_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(0.0625)
    # ranks 1 (negative), 2, 3, 4: sums of negatives <= 1 are {} and {1}, twice for both sides: 4 / 16
    assert wilcoxon_p(np.array([-0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.25)
    # cases that do not differ, and cases without a value, say nothing
    assert wilcoxon_p(np.array([0.0, 0.1, 0.2, np.nan, 0.3, 0.4, 0.5])) == pytest.approx(0.0625)
    assert wilcoxon_p(np.zeros(7)) == 1.0


def test_holm_by_hand() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1 = .02 .03 .06 .04, never falling: .02 .03 .06 .06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.8, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_holm_rejects_what_the_step_down_procedure_rejects() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        p_values = (generator.random(6) ** 3).round(3).tolist()
        corrected = holm(p_values)
        for alpha in (0.01, 0.05, 0.2):
            rejected = set()
            for left, index in enumerate(sorted(range(6), key=lambda one: p_values[one])):
                if p_values[index] > alpha / (6 - left):
                    break
                rejected.add(index)
            assert {index for index, value in enumerate(corrected) if value <= alpha} == rejected


def test_resampled_means_have_the_distribution_of_drawing_with_replacement() -> None:
    # of two cases 0 and 1 the mean is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4
    draws = resampled_means(np.array([[0.0], [1.0]]), 20_000, seed=3)[:, 0]
    shares = [np.mean(draws == value) for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_interval_is_scipys_percentile_bootstrap() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=60)
    low, high = interval(resampled_means(values[:, None], 20_000, seed=0))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=5).confidence_interval
    spread = theirs.high - theirs.low
    assert low[0] == pytest.approx(theirs.low, abs=0.03 * spread)
    assert high[0] == pytest.approx(theirs.high, abs=0.03 * spread)


def test_columns_see_the_same_draws_and_missing_values_are_left_out() -> None:
    values = np.array([[1.0, 2.0, 1.0], [3.0, 6.0, np.nan], [5.0, 10.0, 3.0]])
    draws = resampled_means(values, 500, seed=0)
    np.testing.assert_allclose(draws[:, 1], 2 * draws[:, 0])
    told = draws[~np.isnan(draws[:, 2]), 2]
    assert set(told.round(9)) <= {1.0, 1.5, 2.0, round(5 / 3, 9), round(7 / 3, 9), 3.0}
    assert np.array_equal(draws, resampled_means(values, 500, seed=0), equal_nan=True)
    assert not np.array_equal(draws, resampled_means(values, 500, seed=1), equal_nan=True)
