"""Statistics over cases: a paired test, the correction for multiple tests, and the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


def wilcoxon_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test (Biometrics 1945, doi:10.2307/3001968).

    Args:
        differences: of each case. Zeros and NaN are left out.

    Returns:
        1 where no difference is left.
    """
    nonzero = differences[~np.isnan(differences) & (differences != 0)]
    if nonzero.size == 0:
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(nonzero).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (Scand. J. Statist. 1979).

    Rejecting every hypothesis whose corrected value is below alpha keeps the probability of any wrong rejection at or
    below alpha.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    factors = len(values) - np.arange(len(values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * values[order]))
    as_floats: list[float] = corrected.tolist()
    return as_floats


def resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Bootstrap means over cases (Efron, Ann. Statist. 1979, doi:10.1214/aos/1176344552).

    All columns share the same samples, so that columns can be compared within a sample.

    Args:
        values: (cases, columns); NaN is left out of a mean.
        resamples: number of bootstrap samples.
        seed: of the random generator.

    Returns:
        (resamples, columns); NaN where a sample has no value.
    """
    cases = len(values)
    # counting how often each case is drawn turns the means into a single matrix product
    counts = np.random.default_rng(seed).multinomial(cases, np.full(cases, 1 / cases), size=resamples)
    present = ~np.isnan(values)
    sums = counts @ np.where(present, values, 0.0)
    numbers = counts @ present.astype(np.float64)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = sums / numbers
    return means


def interval(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 95 % percentile interval of bootstrap values along their first axis, ignoring NaN."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.nanpercentile(samples, (tail, 100 - tail), axis=0)
    return low, high
