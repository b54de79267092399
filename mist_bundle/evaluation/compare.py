"""Compare runs with a baseline run, case by case: paired differences with confidence intervals and p-values.

For each class and metric the difference "run - baseline" is taken case by case. Its mean has a 95 % confidence interval
(bootstrap over cases) and a p-value (two-sided Wilcoxon signed-rank test), which Holm's method corrects for the number
of columns and runs. Whether runs may be compared at all is decided in runs.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mist_bundle.evaluation.comparable import ComparableRuns
from mist_bundle.evaluation.rank import RESAMPLES, csv_text
from mist_bundle.evaluation.statistics import CONFIDENCE, holm, interval, resampled_means, wilcoxon_p
from mist_bundle.files import new_folder, write_json, write_text
from mist_bundle.runtime.metrics.table import ID

COMPARISON_CSV = "comparison.csv"
BY_CASE_CSV = "differences_by_case.csv"
COMPARISON_JSON = "comparison.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A column of one run compared with the same column of the baseline, the first run.

    Attributes:
        run: name of the run.
        column: "<class>_<metric>".
        first: mean of the baseline, in the metric's unit.
        other: mean of the run.
        difference: mean over cases of run - baseline.
        low: lower end of the 95 % confidence interval of `difference`.
        high: its upper end.
        better: number of cases in which the run is better than the baseline.
        worse: number of cases in which it is worse.
        p: p-value of the signed-rank test.
        p_holm: p-value corrected for the number of tests.
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
        """A row of comparison.csv."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All differences, ordered by run and column, and the runs they come from."""

    runs: ComparableRuns
    differences: tuple[Difference, ...]

    def write(self, output: Path, *, overwrite: bool = False) -> None:
        """Write comparison.csv, differences_by_case.csv and comparison.json into a new folder.

        Raises:
            InputError: `output` exists and `overwrite` is False.
        """
        rows = list(map(Difference.to_json, self.differences))
        content = {
            "first": self.runs.names[0],
            "others": list(self.runs.names[1:]),
            "num_cases": len(self.runs.ids),
            "folds_compared": self.runs.folds_known == len(self.runs.names),
            "confidence": CONFIDENCE,
            "differences": rows,
        }
        if self.runs.spreads:
            content["spread_between_seeds"] = {name: dict(spread) for name, spread in self.runs.spreads.items()}
        with new_folder(output, overwrite=overwrite, mark=COMPARISON_JSON) as folder:
            write_text(folder / COMPARISON_CSV, csv_text(pd.DataFrame(rows)))
            write_text(folder / BY_CASE_CSV, csv_text(self.by_case()))
            write_json(folder / COMPARISON_JSON, content)

    def by_case(self) -> pd.DataFrame:
        """The difference of every case: a row per run and case, a column per class and metric."""
        baseline = self.runs.values[:, :, 0]
        tables = []
        for index, run in enumerate(self.runs.names[1:], start=1):
            table = pd.DataFrame(self.runs.values[:, :, index] - baseline, columns=self.runs.columns)
            table.insert(0, ID, self.runs.ids, allow_duplicates=True)
            table.insert(1, "run", run, allow_duplicates=True)
            tables.append(table)
        return pd.concat(tables)


def compare_runs(runs: ComparableRuns, *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare all runs with the first.

    Columns without any value are left out.

    Args:
        runs: the result of `comparable`.
        resamples: number of bootstrap samples behind the confidence intervals.
        seed: of the bootstrap.
    """
    has_values = ~np.isnan(runs.values).all(axis=(0, 2))
    columns = np.flatnonzero(has_values).tolist()
    baseline = runs.values[:, columns, 0]
    # (cases, runs x columns): the columns of the first run compared, then those of the next
    by_run = []
    for run in range(1, len(runs.names)):
        by_run.append(runs.values[:, columns, run] - baseline)
    differences = np.concatenate(by_run, axis=1)
    low, high = interval(resampled_means(differences, resamples, seed))
    p_values = list(map(wilcoxon_p, differences.T))
    corrected = holm(p_values)
    rows = []
    for index, values in enumerate(differences.T):
        run, column = 1 + index // len(columns), columns[index % len(columns)]
        gains = -values if runs.lower[column] else values
        rows.append(
            Difference(
                run=runs.names[run],
                column=runs.columns[column],
                first=float(np.nanmean(runs.values[:, column, 0])),
                other=float(np.nanmean(runs.values[:, column, run])),
                difference=float(np.nanmean(values)),
                low=float(low[index]),
                high=float(high[index]),
                better=int((gains > 0).sum()),
                worse=int((gains < 0).sum()),
                p=p_values[index],
                p_holm=corrected[index],
            )
        )
    return Comparison(runs=runs, differences=tuple(rows))
