"""The scores of the held-out cases as a table, with the class and the metric of each column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from mist_bundle.catalog.metrics import HIGHER, METRICS
from mist_bundle.runtime.metrics.columns import split_columns
from mist_bundle.runtime.metrics.table import ID

_MAIN_METRIC = "dice"


class ScoreTable:
    """Scores by case (rows) and by class and metric (columns).

    Args:
        rows: of results.csv.
        classes: names of all classes; columns of other classes are left out.

    Attributes:
        scores: a row per case, whose id is the index; a column for each (class, metric).
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], classes: Iterable[str]) -> None:
        table = pd.DataFrame(list(rows)).set_index(ID)
        columns = split_columns(list(table.columns), list(classes))
        pairs = pd.DataFrame(list(columns.values()), columns=["class", "metric"])
        scores = table[list(columns)].astype(float)
        scores.columns = pd.MultiIndex.from_frame(pairs)
        # the same metric can be there twice, by its name and by an alias
        self.scores = scores.loc[:, ~scores.columns.duplicated()]

    @property
    def ids(self) -> list[str]:
        """The cases."""
        return list(self.scores.index)

    @property
    def classes(self) -> list[str]:
        """The scored classes, in the order of their columns."""
        return list(self.scores.columns.unique("class"))

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the order of their columns."""
        return list(self.scores.columns.unique("metric"))

    @property
    def main_metric(self) -> str | None:
        """The metric by which cases are ordered: Dice, or else the first; None without any column."""
        if _MAIN_METRIC in self.metrics:
            return _MAIN_METRIC
        return self.metrics[0] if self.metrics else None

    def of_metric(self, metric: str) -> pd.DataFrame:
        """The scores by a metric: a column for each class that has it."""
        values = self.scores.xs(metric, axis="columns", level="metric")
        return pd.DataFrame(values)

    def case_means(self, metric: str) -> pd.Series[float]:
        """The mean of each case over its classes, ignoring undefined values; NaN where no class has a value."""
        if metric not in self.metrics:
            return pd.Series(dtype=float)
        return self.of_metric(metric).mean(axis="columns")

    def worst_first(self) -> list[str]:
        """The cases from worst to best by their mean of the main metric; cases without a score are left out."""
        if self.main_metric is None:
            return []
        means = self.case_means(self.main_metric).dropna().sort_index()
        ordered = means.sort_values(ascending=higher_is_better(self.main_metric), kind="stable")
        return list(ordered.index)

    def worst_class(self, case: str) -> str:
        """The class of a case with the worst value of the main metric; "" where no class has a value."""
        if self.main_metric is None:
            return ""
        values = self.of_metric(self.main_metric).loc[case].dropna().sort_index()
        if values.empty:
            return ""
        return str(values.idxmin() if higher_is_better(self.main_metric) else values.idxmax())


def higher_is_better(metric: str) -> bool:
    """Whether higher values of a metric are better, as assumed of metrics that are not on the menu."""
    return metric not in METRICS or METRICS[metric].better == HIGHER
