"""Small statistics over cases: a paired test, its correction for many tests, and resampling of cases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def wilcoxon_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test (Biometrics 1945, doi:10.2307/3001968).

    Args:
        differences: one for each case; those that are exactly 0 say nothing and are left out. NaN is left out too.

    Returns:
        1 where no difference is left.
    """
    told = differences[~np.isnan(differences) & (differences != 0)]
    if told.size == 0:
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(told).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, by Holm's step-down method (Scand. J. Statist. 1979).

    A corrected value below alpha rejects its hypothesis; the probability of one wrong rejection or more among all of
    them is then at most alpha.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    factors = len(values) - np.arange(len(values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    return [float(value) for value in corrected]


def resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Means over cases that were drawn with replacement (Efron, Ann. Statist. 1979, doi:10.1214/aos/1176344552).

    All columns see the same draws, so that columns can be compared within a draw.

    Args:
        values: (cases, columns); NaN is left out of a mean.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        (resamples, columns); NaN where a draw has no value.
    """
    cases = len(values)
    # how often each case is drawn says all, and makes the means one product of matrices
    counts = np.random.default_rng(seed).multinomial(cases, np.full(cases, 1 / cases), size=resamples)
    present = ~np.isnan(values)
    sums = counts @ np.where(present, values, 0.0)
    numbers = counts @ present.astype(np.float64)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = sums / numbers
    return means


def interval(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The percentile interval of resampled values along their first axis, without NaN."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(samples, (tail, 100 - tail), axis=0)
    return low, high
