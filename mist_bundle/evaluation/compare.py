"""Compare runs case by case with the first of them: paired differences, their confidence and their significance.

For each class and metric the difference "other - first" is taken case by case. Its mean has a 95 % confidence interval
from drawing cases with replacement, and Wilcoxon's two-sided signed-rank test; the p-values are corrected by Holm's
method for all columns and runs that are compared. Whether the runs may be compared at all is decided in runs.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.evaluation.rank import RESAMPLES, csv_text
from mist_bundle.evaluation.runs import ComparableRuns
from mist_bundle.evaluation.statistics import CONFIDENCE, holm, interval, resampled_means, wilcoxon_p
from mist_bundle.files import new_folder, write_json, write_text
from mist_bundle.runtime.metrics.table import ID

COMPARISON_CSV, BY_CASE_CSV, COMPARISON_JSON = "comparison.csv", "differences_by_case.csv", "comparison.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One column of one run against the first run.

    Attributes:
        run: the other run.
        column: "<class>_<metric>".
        first: mean of the first run, in the metric's unit.
        other: mean of the other run.
        difference: mean of other - first over the cases; `low` and `high` are its 95 % confidence interval.
        better: number of cases in which the other run is better; `worse` in which it is worse.
        p: of the signed-rank test; `p_holm` is corrected for all that were made.
    """

    run: str
    column: str
    first: float
    other: float
    difference: float
    low: float
    high: float
    better: int
    worse: int
    p: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All differences, run by run in the order of the columns, and what they were taken from."""

    runs: ComparableRuns
    differences: tuple[Difference, ...]

    def write(self, output: Path, *, overwrite: bool = False) -> None:
        """Write comparison.csv, differences_by_case.csv, and comparison.json with the first and the names.

        Raises:
            InputError: something lies at `output`.
        """
        rows = [one.to_json() for one in self.differences]
        with new_folder(output, overwrite=overwrite) as folder:
            write_text(folder / COMPARISON_CSV, csv_text(rows))
            write_text(folder / BY_CASE_CSV, csv_text(self._by_case()))
            content = {
                "first": self.runs.names[0],
                "others": list(self.runs.names[1:]),
                "num_cases": len(self.runs.ids),
                "folds_compared": self.runs.folds_known == len(self.runs.names),
                "confidence": CONFIDENCE,
                "differences": rows,
            }
            write_json(folder / COMPARISON_JSON, content)

    def _by_case(self) -> list[dict[str, Any]]:
        runs = self.runs
        gaps = runs.values[:, :, 1:] - runs.values[:, :, :1]
        return [
            {ID: name, "run": run, **dict(zip(runs.columns, gaps[place, :, index].tolist(), strict=True))}
            for index, run in enumerate(runs.names[1:])
            for place, name in enumerate(runs.ids)
        ]


def compare_runs(runs: ComparableRuns, *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare all runs with the first.

    Columns that no case has a value in are left out.

    Args:
        runs: what `comparable` gives.
        resamples: draws of cases behind the confidence intervals.
        seed: of the draws.
    """
    told = [index for index in range(len(runs.columns)) if not np.isnan(runs.values[:, index]).all()]
    pairs = [(run, column) for run in range(1, len(runs.names)) for column in told]
    gaps = np.stack([runs.values[:, column, run] - runs.values[:, column, 0] for run, column in pairs], axis=1)
    low, high = interval(resampled_means(gaps, resamples, seed))
    p_values = [wilcoxon_p(one) for one in gaps.T]
    corrected = holm(p_values)
    differences = []
    for index, (run, column) in enumerate(pairs):
        gains = -gaps[:, index] if runs.lower[column] else gaps[:, index]
        differences.append(
            Difference(
                run=runs.names[run],
                column=runs.columns[column],
                first=float(np.nanmean(runs.values[:, column, 0])),
                other=float(np.nanmean(runs.values[:, column, run])),
                difference=float(np.nanmean(gaps[:, index])),
                low=float(low[index]),
                high=float(high[index]),
                better=int((gains > 0).sum()),
                worse=int((gains < 0).sum()),
                p=p_values[index],
                p_holm=corrected[index],
            )
        )
    return Comparison(runs=runs, differences=tuple(differences))
