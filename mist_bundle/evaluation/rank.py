"""Rank several runs as the BraTS challenges do, with the uncertainty of the ranking.

    1. For each case, class and metric the runs are ranked from 1 (best); equal values share the mean of their ranks.
    2. The rank of a run in a case is the mean over all classes and metrics.
    3. The final rank of a run is the mean over all cases.

Pairs of runs are compared by Wilcoxon's two-sided signed-rank test over their ranks in the cases; Holm's method
corrects the p-values for the number of pairs. Confidence intervals come from a bootstrap over cases.

BraTS: Bakas et al., arXiv:1811.02629 (there the runs of each case are permuted; the signed-rank test serves the same
purpose).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mist_bundle.evaluation.comparable import ComparableRuns
from mist_bundle.evaluation.statistics import CONFIDENCE, holm, interval, resampled_means, wilcoxon_p
from mist_bundle.files import new_folder, write_json, write_text
from mist_bundle.runtime.metrics.table import ID

RANKING_CSV = "ranking.csv"
BY_CASE_CSV = "ranks_by_case.csv"
SIGNIFICANCE_CSV = "significance.csv"
RANKING_JSON = "ranking.json"
RESAMPLES = 10_000
_DECIMALS = 12  # of ranks: smaller differences are rounding errors


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The final place of a run.

    Attributes:
        place: 1 for the lowest mean rank; runs with exactly the same mean rank share a place.
        name: of the run.
        mean_rank: over all cases.
        low: lower end of the 95 % confidence interval of the mean rank.
        high: its upper end.
        first: share of the bootstrap samples in which the run has the lowest mean rank; runs that tie divide it.
        by_column: mean rank for each "<class>_<metric>".
    """

    place: int
    name: str
    mean_rank: float
    low: float
    high: float
    first: float
    by_column: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """An entry of ranking.json."""
        return asdict(self)

    @property
    def row(self) -> dict[str, Any]:
        """A row of ranking.csv, with a cell for each column of scores."""
        row = self.to_json()
        row.update(row.pop("by_column"))
        return row


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairwise:
    """A pair of runs: `better` has the lower mean rank by `difference`, in `better_in` and `worse_in` cases."""

    better: str
    worse: str
    difference: float
    better_in: int
    worse_in: int
    p: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """A row of significance.csv."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """The result of a ranking.

    Attributes:
        standings: best first.
        pairs: all pairs of runs.
        by_case: rank of each run (columns) in each case (rows).
    """

    standings: tuple[Standing, ...]
    pairs: tuple[Pairwise, ...]
    by_case: pd.DataFrame

    @property
    def ids(self) -> tuple[str, ...]:
        """The ranked cases."""
        return tuple(self.by_case.index)

    def write(self, output: Path, *, overwrite: bool = False) -> None:
        """Write ranking.csv, ranks_by_case.csv, significance.csv and ranking.json into a new folder.

        Raises:
            InputError: `output` exists and `overwrite` is False.
        """
        standings = pd.DataFrame([standing.row for standing in self.standings])
        pairs = pd.DataFrame(list(map(Pairwise.to_json, self.pairs)))
        cases = self.by_case.reset_index(names=ID)
        content = {
            "num_cases": len(cases),
            "confidence": CONFIDENCE,
            "ranking": list(map(Standing.to_json, self.standings)),
            "significance": pairs.to_dict("records"),
            "cases": cases.to_dict("records"),
        }
        with new_folder(output, overwrite=overwrite, mark=RANKING_JSON) as folder:
            write_text(folder / RANKING_CSV, csv_text(standings))
            write_text(folder / BY_CASE_CSV, csv_text(cases))
            write_text(folder / SIGNIFICANCE_CSV, csv_text(pairs))
            write_json(folder / RANKING_JSON, content)


def rank_runs(runs: ComparableRuns, *, resamples: int = RESAMPLES, seed: int = 0) -> Ranking:
    """Rank runs.

    Args:
        runs: the result of `comparable`.
        resamples: number of bootstrap samples behind the confidence intervals.
        seed: of the bootstrap.
    """
    ranks = _rank_values(runs)
    has_ranks: NDArray[np.bool_] = np.asarray(~np.isnan(ranks).all(axis=(1, 2)))
    by_case = pd.DataFrame(
        np.nanmean(ranks[has_ranks], axis=1), index=pd.Index(runs.ids)[has_ranks], columns=list(runs.names)
    )
    return Ranking(
        standings=_standings(by_case, _column_means(ranks, runs), resamples, seed),
        pairs=_compare_pairs(by_case),
        by_case=by_case,
    )


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, without its index."""
    return table.to_csv(index=False, na_rep="nan", lineterminator="\n")


def _rank_values(runs: ComparableRuns) -> NDArray[np.float64]:
    """(cases, columns, runs) ranks from 1, the best; NaN where there is nothing to rank."""
    from scipy.stats import rankdata

    signs = np.where(runs.lower, 1.0, -1.0)[None, :, None]
    undefined = np.isnan(runs.values)
    ranks: NDArray[np.float64] = rankdata(np.where(undefined, 0.0, runs.values * signs), axis=2)
    ranks[undefined] = np.nan
    return ranks


def _column_means(ranks: NDArray[np.float64], runs: ComparableRuns) -> pd.DataFrame:
    """Mean rank of each run (columns) by each column of scores (rows)."""
    present = ~np.isnan(ranks)
    with np.errstate(invalid="ignore"):
        means = np.where(present, ranks, 0.0).sum(axis=0) / present.sum(axis=0)
    return pd.DataFrame(means, index=list(runs.columns), columns=list(runs.names))


def _standings(by_case: pd.DataFrame, by_column: pd.DataFrame, resamples: int, seed: int) -> tuple[Standing, ...]:
    ranks = np.ascontiguousarray(by_case)  # sums over columns in memory order would differ in the last digit
    means = ranks.mean(axis=0)
    rounded = means.round(_DECIMALS)
    samples = resampled_means(ranks, resamples, seed)
    low, high = interval(samples)
    winners = np.isclose(samples, samples.min(axis=1, keepdims=True), rtol=0, atol=10.0**-_DECIMALS)
    shares = (winners / winners.sum(axis=1, keepdims=True)).mean(axis=0)
    standings = []
    for index, name in enumerate(by_case.columns):
        column_ranks = {}
        for column, rank in by_column[name].dropna().items():
            column_ranks[str(column)] = float(rank)
        standings.append(
            Standing(
                place=1 + int((rounded < rounded[index]).sum()),
                name=name,
                mean_rank=float(means[index]),
                low=float(low[index]),
                high=float(high[index]),
                first=float(shares[index]),
                by_column=column_ranks,
            )
        )
    return tuple(sorted(standings, key=lambda standing: standing.place))


def _compare_pairs(by_case: pd.DataFrame) -> tuple[Pairwise, ...]:
    ranks = np.ascontiguousarray(by_case)  # sums over columns in memory order would differ in the last digit
    means = ranks.mean(axis=0)
    pairs = []
    differences = []
    for first, second in itertools.combinations(range(len(means)), 2):
        better, worse = (first, second) if means[first] <= means[second] else (second, first)
        pairs.append((better, worse))
        differences.append((ranks[:, worse] - ranks[:, better]).round(_DECIMALS))
    p_values = list(map(wilcoxon_p, differences))
    results = []
    for (better, worse), gains, p, corrected in zip(pairs, differences, p_values, holm(p_values), strict=True):
        results.append(
            Pairwise(
                better=by_case.columns[better],
                worse=by_case.columns[worse],
                difference=float(means[worse] - means[better]),
                better_in=int((gains > 0).sum()),
                worse_in=int((gains < 0).sum()),
                p=p,
                p_holm=corrected,
            )
        )
    return tuple(results)
