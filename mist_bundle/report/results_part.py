"""The section about results: the scores of the held-out cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mist_bundle.catalog.metrics import METRICS
from mist_bundle.files import ABSENT_CHANNELS_JSON, RESULTS_CSV, RESULTS_JSON, read_json
from mist_bundle.planning.plan import Plan
from mist_bundle.report import charts
from mist_bundle.report.colours import chart_colour, colours_of_plan
from mist_bundle.report.html import Html, cell_text, details, el, facts, hint, problem, section, table
from mist_bundle.report.metric_words import axis_label, meanings, title_of, with_unit
from mist_bundle.report.score_table import ScoreTable, higher_is_better
from mist_bundle.runtime.metrics.table import ID, read_results
from mist_bundle.runtime.wording import even_decimals

_MAX_FACTS = 8
_NUM_WORST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Scores of held-out cases.

    Attributes:
        table: the scores.
        failed: (id, reason) of the cases without scores.
        complete: whether all folds were gathered; otherwise the scores are those of the evaluated folds.
        absent: channel that may be missing -> column -> means "with" it, "without" it, and the "change".
    """

    table: ScoreTable
    failed: Sequence[tuple[str, str]]
    complete: bool
    absent: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)


def read_bundle_results(work_dir: Path, classes: Iterable[str]) -> Results | None:
    """The results of all folds if the bundle was finalized, otherwise those of the evaluated folds; None without any.

    Raises:
        InputError: a results.json is damaged.
        ValueError: a results.csv is damaged.
    """
    gathered = work_dir / RESULTS_CSV
    of_folds = sorted(work_dir.glob(f"fold_*/{RESULTS_CSV}"))
    complete = gathered.is_file()
    tables = [gathered] if complete else of_folds
    if not tables:
        return None
    rows = []
    for path in tables:
        rows += read_results(path)
    failed = set()
    for path in (gathered, *of_folds):
        beside = path.with_name(RESULTS_JSON)
        if beside.is_file():
            for entry in read_json(beside).get("failed", []):
                failed.add((str(entry[ID]), str(entry["message"])))
    measured = work_dir / ABSENT_CHANNELS_JSON
    absent = read_json(measured)["channels"] if measured.is_file() else {}
    return Results(table=ScoreTable(rows, classes), failed=sorted(failed), complete=complete, absent=absent)


def results_section(results: Results | None, plan: Plan, folds: Mapping[str, int], bundle_name: str) -> Html:
    """The scores of each class, the worst cases, statistics of each metric, and all cases.

    Args:
        results: the scores, if any.
        plan: of the bundle.
        folds: id -> the fold that held the case out.
        bundle_name: for commands.
    """
    if results is None:
        return section("results", "Results", not_evaluated(bundle_name))
    scores = results.table
    parts: list[Html | None] = []
    if not results.complete:
        command = f"mist-bundle finalize {bundle_name}"
        parts.append(hint("These are the scores of single folds, which have not been gathered yet.", command))
    parts.append(_mean_dice(scores))
    if results.failed:
        parts.append(problem(f"{len(results.failed)} cases have no score."))
        parts.append(table(["case", "reason"], results.failed, caption="Cases without scores"))
    worst = scores.worst_first()[:_NUM_WORST]
    if len(worst) > 1:
        parts.append(el("h3", "Worst cases"))
        parts.append(_case_table(scores, worst, folds, "The lowest mean Dice first"))
    colours = colours_of_plan(plan)
    for metric in scores.metrics:
        parts.append(_metric_block(scores, metric, colours))
    for name, columns in results.absent.items():
        lines = [[column, row["with"], row["without"], row["change"]] for column, row in columns.items()]
        parts.append(el("h3", f"Without {name}"))
        parts.append(table(["score", "with all channels", f"without {name}", "change"], lines))
    all_cases = _case_table(scores, scores.ids, folds, "All cases")
    return section(
        "results",
        "Results",
        *parts,
        meanings(scores.metrics),
        details(f"All {len(scores.ids)} cases as a table", all_cases),
        lead="Every case was predicted by a model that had not seen it in training (cross-validation). In the charts "
        "every dot is a case, the box holds the middle half of the cases, and the thick line is the median.",
    )


def not_evaluated(bundle_name: str) -> Html:
    """In place of a part that needs results."""
    return hint("Not evaluated yet.", f"mist-bundle evaluate {bundle_name}")


def _mean_dice(scores: ScoreTable) -> Html | None:
    """The mean Dice of each class in large letters."""
    if "dice" not in scores.metrics:
        return None
    values = []
    for name, mean in scores.of_metric("dice").mean().items():
        values.append((f"mean Dice, {name}", f"{mean:.3f}"))
    return facts(values[:_MAX_FACTS])


def _metric_block(scores: ScoreTable, metric: str, colours: Mapping[str, int]) -> Html:
    """Statistics of a metric over the cases, with its box plot beside them."""
    values = scores.of_metric(metric)
    is_ratio = metric in METRICS and METRICS[metric].best == 1
    decimals = 3 if is_ratio else even_decimals(values.median().tolist())
    rows = []
    boxes = []
    for name in values.columns:
        column = values[name].dropna()
        rows.append([name, *_statistics(column, metric, decimals), len(column)])
        boxes.append((name, column.tolist(), chart_colour(colours.get(name, 0))))
    head = ["class", "mean", "std", "median", "25 %", "75 %", "worst", "cases"]
    highest = 1.0 if is_ratio else math.inf
    plot = charts.box_plot(title_of(metric), axis_label(metric), boxes, lowest=0.0, highest=highest)
    statistics = table(head, rows, caption=f"{with_unit(metric)}, {len(values)} held-out cases")
    return el("div", statistics, charts.grid([plot]), class_="metric")


def _statistics(column: pd.Series[float], metric: str, decimals: int) -> list[str | None]:
    """Mean, std, median, quartiles and worst value as text; None where the metric has no value."""
    if column.empty:
        return [None] * 6
    low, median, high = column.quantile([0.25, 0.5, 0.75]).tolist()
    worst = column.min() if higher_is_better(metric) else column.max()
    numbers = (column.mean(), column.std(ddof=0), median, low, high, worst)
    return [f"{value:,.{decimals}f}" for value in numbers]


def _case_table(scores: ScoreTable, ids: Sequence[str], folds: Mapping[str, int], caption: str) -> Html:
    """A row for each case; the values of a metric have the same decimals for all classes."""
    shown = scores.scores.loc[list(ids)]
    decimals = {}
    for metric in scores.metrics:
        decimals[metric] = even_decimals(scores.of_metric(metric).loc[list(ids)].to_numpy().ravel().tolist())
    head = ["case", "fold"]
    metrics = []
    for column in scores.scores.columns.to_flat_index():
        name, metric = map(str, column)
        head.append(f"{name} {with_unit(metric)}")
        metrics.append(metric)
    rows = []
    for case, values in shown.iterrows():
        cells = []
        for metric, value in zip(metrics, values.tolist(), strict=True):
            cells.append(cell_text(float(value), decimals[metric]))
        rows.append([case, folds.get(str(case)), *cells])
    return table(head, rows, caption=caption, sortable=True)
