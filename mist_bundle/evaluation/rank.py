"""Rank several runs as the BraTS challenges do, and say how sure the ranking is.

    1. For each case, class and metric the runs are ranked from 1, the best; equal values share the mean of their ranks.
    2. A run's rank in a case is the mean over all classes and metrics.
    3. A run's final rank is the mean over all cases.

Two runs are compared by Wilcoxon's two-sided signed-rank test over their ranks in the cases; p-values are corrected by
Holm's method for the number of pairs. Confidence intervals come from drawing cases with replacement.

BraTS: Bakas et al., arXiv:1811.02629 (its test permutes the runs of each case; the signed-rank test asks the same).
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.evaluation.runs import ComparableRuns
from mist_bundle.evaluation.statistics import CONFIDENCE, holm, interval, resampled_means, wilcoxon_p
from mist_bundle.files import new_folder, write_json, write_text
from mist_bundle.runtime.metrics.table import ID

RANKING_CSV, BY_CASE_CSV, SIGNIFICANCE_CSV, RANKING_JSON = (
    *("ranking.csv", "ranks_by_case.csv", "significance.csv", "ranking.json"),
)
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The final place of one run.

    Attributes:
        place: 1 for the lowest mean rank; runs of exactly the same mean rank share it.
        name: of the run.
        mean_rank: over all cases.
        low: end of the 95 % confidence interval of the mean rank.
        high: its other end.
        first: share of the draws of cases in which the run has the lowest mean rank (shared where several have it).
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
        """As it is written."""
        return {
            "place": self.place,
            "name": self.name,
            "mean_rank": self.mean_rank,
            "low": self.low,
            "high": self.high,
            "first": self.first,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairwise:
    """How two runs differ: `better` has the lower mean rank by `difference`, in `better_in` and `worse_in` cases."""

    better: str
    worse: str
    difference: float
    better_in: int
    worse_in: int
    p: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """The standings, best first; all pairs; and each run's rank in each case (cases, runs) in the order of `names`."""

    standings: tuple[Standing, ...]
    pairs: tuple[Pairwise, ...]
    names: tuple[str, ...]
    ids: tuple[str, ...]
    by_case: NDArray[np.float64]

    def write(self, output: Path, *, overwrite: bool = False) -> None:
        """Write ranking.csv, ranks_by_case.csv, significance.csv, and ranking.json with all of them.

        Raises:
            InputError: something lies at `output`.
        """
        standings = [{**one.to_json(), **one.by_column} for one in self.standings]
        cases: list[dict[str, Any]] = [
            {ID: name, **dict(zip(self.names, row.tolist(), strict=True))}
            for name, row in zip(self.ids, self.by_case, strict=True)
        ]
        pairs = [one.to_json() for one in self.pairs]
        with new_folder(output, overwrite=overwrite) as folder:
            for name, rows in ((RANKING_CSV, standings), (BY_CASE_CSV, cases), (SIGNIFICANCE_CSV, pairs)):
                write_text(folder / name, csv_text(rows))
            content = {
                "num_cases": len(self.ids),
                "confidence": CONFIDENCE,
                "ranking": [{**one.to_json(), "by_column": dict(one.by_column)} for one in self.standings],
                "significance": pairs,
                "cases": cases,
            }
            write_json(folder / RANKING_JSON, content)


def rank_runs(runs: ComparableRuns, *, resamples: int = RESAMPLES, seed: int = 0) -> Ranking:
    """Rank runs.

    Args:
        runs: what `comparable` gives.
        resamples: draws of cases behind the confidence intervals.
        seed: of the draws.
    """
    ranks = _ranks(runs)
    told: NDArray[np.bool_] = np.asarray(~np.isnan(ranks).all(axis=(1, 2)))
    by_case = np.nanmean(ranks[told], axis=1)
    means = by_case.mean(axis=0)
    draws = resampled_means(by_case, resamples, seed)
    low, high = interval(draws)
    winners = np.isclose(draws, draws.min(axis=1, keepdims=True), rtol=0, atol=1e-12)
    first = (winners / winners.sum(axis=1, keepdims=True)).mean(axis=0)
    by_column = _column_means(ranks)
    rounded = means.round(12)
    standings = [
        Standing(
            place=1 + int((rounded < rounded[index]).sum()),
            name=name,
            mean_rank=float(means[index]),
            low=float(low[index]),
            high=float(high[index]),
            first=float(first[index]),
            by_column={
                column: float(by_column[place, index])
                for place, column in enumerate(runs.columns)
                if not np.isnan(by_column[place, index])
            },
        )
        for index, name in enumerate(runs.names)
    ]
    return Ranking(
        standings=tuple(sorted(standings, key=lambda one: one.place)),
        pairs=_pairs(runs.names, by_case),
        names=runs.names,
        ids=tuple(name for name, use in zip(runs.ids, told, strict=True) if use),
        by_case=by_case,
    )


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with the columns of all of them."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _ranks(runs: ComparableRuns) -> NDArray[np.float64]:
    """(cases, columns, runs) ranks from 1, the best; NaN where there is nothing to rank."""
    from scipy.stats import rankdata

    signs = np.where(runs.lower, 1.0, -1.0)[None, :, None]
    undefined = np.isnan(runs.values)
    ranks: NDArray[np.float64] = rankdata(np.where(undefined, 0.0, runs.values * signs), axis=2)
    ranks[undefined] = np.nan
    return ranks


def _column_means(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    present = ~np.isnan(ranks)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = np.where(present, ranks, 0.0).sum(axis=0) / present.sum(axis=0)
    return means


def _pairs(names: Sequence[str], by_case: NDArray[np.float64]) -> tuple[Pairwise, ...]:
    means = by_case.mean(axis=0)
    couples = [
        (one, two) if means[one] <= means[two] else (two, one)
        for one, two in itertools.combinations(range(len(names)), 2)
    ]
    # ranks are means of small numbers: differences that are nothing but rounding are none
    differences = [(by_case[:, two] - by_case[:, one]).round(12) for one, two in couples]
    p_values = [wilcoxon_p(one) for one in differences]
    return tuple(
        Pairwise(
            better=names[one],
            worse=names[two],
            difference=float(means[two] - means[one]),
            better_in=int((gains > 0).sum()),
            worse_in=int((gains < 0).sum()),
            p=p,
            p_holm=corrected,
        )
        for (one, two), gains, p, corrected in zip(couples, differences, p_values, holm(p_values), strict=True)
    )
