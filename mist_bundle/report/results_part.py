"""The sections about results: scores, volumes, and the worst, median and best cases as pictures."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.catalog.metrics import HIGHER, METRICS
from mist_bundle.dataset.integrity import count_labels
from mist_bundle.dataset.volumes import read_volume
from mist_bundle.errors import Problem
from mist_bundle.files import RESULTS_CSV, RESULTS_JSON, read_json
from mist_bundle.parallel import map_cases
from mist_bundle.report import charts
from mist_bundle.report.case_pictures import case_figure, label_legend
from mist_bundle.report.charts import Series
from mist_bundle.report.colours import chart_colour, colours_of_plan
from mist_bundle.report.data_part import facts
from mist_bundle.report.html import Html, details, el, even_decimals, hint, join, number, problem, section, table
from mist_bundle.report.metric_words import axis_label, meanings, title_of, unit_of, with_unit
from mist_bundle.report.sources import CaseFiles
from mist_bundle.runtime.metrics.columns import split_columns
from mist_bundle.runtime.metrics.table import ID, read_results, summarize
from mist_bundle.runtime.numerics.grid import spacing_of

_MAX_CLASSES_SHOWN = 8  # above a picture
_NUM_WORST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Scores of held-out cases.

    Attributes:
        rows: one for each case, as in results.csv.
        failed: (id, why) of the cases that could not be scored.
        complete: whether they are those of all folds; otherwise they come from the folds that were evaluated.
    """

    rows: Sequence[Mapping[str, Any]]
    failed: Sequence[tuple[str, str]]
    complete: bool


def read_bundle_results(work_dir: Path) -> Results | None:
    """The results of all folds where the bundle was finalized, else those of the folds that were evaluated."""
    whole = work_dir / RESULTS_CSV
    tables = [whole] if whole.is_file() else sorted(work_dir.glob(f"fold_*/{RESULTS_CSV}"))
    if not tables:
        return None
    failed = []
    for path in (whole if whole.is_file() else None, *work_dir.glob(f"fold_*/{RESULTS_CSV}")):
        beside = None if path is None else path.with_name(RESULTS_JSON)
        if beside is not None and beside.is_file():
            failed += [(str(one[ID]), str(one["message"])) for one in read_json(beside).get("failed", [])]
    rows = [row for path in tables for row in read_results(path)]
    return Results(rows=rows, failed=sorted(set(failed)), complete=whole.is_file())


def results_section(
    results: Results | None, plan: Mapping[str, Any], folds: Mapping[str, int], bundle_name: str
) -> Html:
    """The scores of each class, the cases that did worst, a table and a box plot for each metric, and all cases."""
    if results is None:
        return section("results", "Results", _not_evaluated(bundle_name))
    found = _columns(results.rows, list(plan["final_classes"]))
    note = None
    if not results.complete:
        note = hint(
            "These are the scores of single folds; the table of all is not made yet.",
            f"mist-bundle finalize {bundle_name}",
        )
    failed = None
    if results.failed:
        failed = join(
            [
                problem(f"{len(results.failed)} cases have no score."),
                table(["case", "why it has no score"], results.failed, caption="Cases without scores"),
            ]
        )
    metrics = list(dict.fromkeys(metric for _, metric in found.values()))
    return section(
        "results",
        "Results",
        note,
        _means(results, found),
        failed,
        _worst_cases(results, found, folds),
        *(_metric_block(metric, results, found, colours_of_plan(plan)) for metric in metrics),
        meanings(metrics),
        details(f"All {len(results.rows)} cases as a table", _all_cases(results, found, folds)),
        lead="Every case was predicted by a model that had not seen it in training (cross-validation). In the charts "
        "each dot is a case, the box holds the middle half of them, and the thick line is the median.",
    )


def extreme_cases(rows: Sequence[Mapping[str, Any]], classes: Sequence[str], each: int = 2) -> dict[str, list[str]]:
    """Ids of the worst, median and best cases by their mean Dice, or by the first metric where there is no Dice.

    A case stands in one group only; cases without a score are left out.
    """
    ids = [str(row[ID]) for row in _worst_first(rows, _columns(rows, classes))]
    each = min(each, max(1, len(ids) // 3))
    middle = max(each, (len(ids) - each) // 2)
    groups = {"Worst": ids[:each], "Median": ids[middle : len(ids) - each][:each], "Best": ids[each:][-each:][::-1]}
    return {name: members for name, members in groups.items() if members}


def _worst_first(rows: Sequence[Mapping[str, Any]], found: Mapping[str, tuple[str, str]]) -> list[Mapping[str, Any]]:
    """The cases by their mean Dice, or the first metric where there is no Dice; those without a score are left out."""
    metrics = list(dict.fromkeys(metric for _, metric in found.values()))
    if not metrics:
        return []
    metric = "dice" if "dice" in metrics else metrics[0]
    columns = [column for column, (_, one) in found.items() if one == metric]
    sign = 1 if _higher_is_better(metric) else -1
    scored = [(sign * _mean(row[column] for column in columns), str(row[ID]), row) for row in rows]
    return [row for score, _, row in sorted(scored, key=lambda one: one[:2]) if math.isfinite(score)]


def _higher_is_better(metric: str) -> bool:
    return metric not in METRICS or METRICS[metric].better == HIGHER


def cases_section(
    results: Results | None,
    files: Sequence[CaseFiles],
    plan: Mapping[str, Any],
    each: int,
    bundle_name: str,
) -> Html:
    """Pictures of the worst, median and best cases with both outlines."""
    classes = list(plan["final_classes"])
    if results is None:
        return section("cases", "Cases", _not_evaluated(bundle_name))
    by_id = {case.id: case for case in files}
    rows = {str(row[ID]): row for row in results.rows}
    names = dict(zip(plan["labels"], plan["label_names"], strict=True))
    parts: list[Html] = []
    for group, ids in extreme_cases(results.rows, classes, each).items():
        figures = []
        for name in ids:
            if name in by_id:
                caption = _score_caption(rows[name], classes, by_id[name].fold)
                focus = worst_class(rows[name], classes)
                labels = tuple(plan["final_classes"].get(focus, ()))
                figures.append(
                    case_figure(by_id[name], names, plan["modality"], caption, whole=False, focus=(focus, labels))
                )
        parts.append(join([el("h3", group), el("div", *figures, class_="cases")]))
    lead = (
        "By mean Dice over the classes. Slices are cut through the class that scored worst, where it is largest, and "
        "show the surroundings by 15 mm; letters say where the edge lies in the patient. Click a picture to enlarge it."
    )
    return section("cases", "Worst, median and best cases", label_legend(names, prediction=True), *parts, lead=lead)


def volumes_section(
    report: Mapping[str, Any] | None,
    files: Sequence[CaseFiles],
    plan: Mapping[str, Any],
    bundle_name: str,
    workers: int | str | None = None,
) -> tuple[Html, list[Problem]]:
    """Reference against predicted volume of every class; predictions that cannot be read are given back."""
    predicted = [case for case in files if case.prediction is not None]
    if not predicted or report is None:
        return section("volumes", "Volumes", _not_evaluated(bundle_name)), []
    count = functools.partial(predicted_volumes, final_classes=plan["final_classes"])
    done = map_cases(count, predicted, name=lambda case: case.id, workers=workers, description="volumes")
    reference = {case["id"]: case for case in report["cases"]}
    by_label = {stats["labels"][0]: name for name, stats in report["structures"].items() if len(stats["labels"]) == 1}
    charts_, rows = [], []
    colours = colours_of_plan(plan)
    for name, labels in plan["final_classes"].items():
        pairs = [
            (
                sum(reference[case]["structures"][by_label[label]]["volume_ml"] for label in labels if label),
                volumes[name],
            )
            for case, volumes in done.results
            if case in reference
        ]
        if pairs:
            series = [Series(name=name, points=pairs, colour=chart_colour(colours[name]), style=colours[name])]
            charts_.append(charts.scatter(name, "reference, ml", "prediction, ml", series, identity=True))
            rows.append([name, *_agreement(pairs)])
    head = ["class", "reference, ml", "prediction, ml", "difference, ml", "from", "to", "correlation"]
    content = section(
        "volumes",
        "Volumes",
        charts.grid(charts_),
        table(
            head,
            rows,
            caption="Means over cases; 95 % of the differences are expected from … to … (mean ± 1.96 standard "
            "deviations: the limits of agreement)",
        ),
        lead="Each dot is a case; on the dashed line both volumes are equal.",
    )
    return content, done.problems


def predicted_volumes(case: CaseFiles, final_classes: Mapping[str, Sequence[int]]) -> tuple[str, dict[str, float]]:
    """(id, class -> predicted volume in ml) of a case with a prediction."""
    if case.prediction is None:
        msg = f"{case.id} has no prediction."
        raise ValueError(msg)
    volume = read_volume(case.prediction)
    counts = count_labels(volume.array)
    voxel_ml = math.prod(spacing_of(volume.affine).tolist()) / 1000
    return case.id, {
        name: sum(counts.get(label, 0) for label in labels if label) * voxel_ml
        for name, labels in final_classes.items()
    }


def _agreement(pairs: Sequence[tuple[float, float]]) -> list[float]:
    reference, prediction = (np.asarray(values) for values in zip(*pairs, strict=True))
    difference = prediction - reference
    spread = round(1.96 * float(difference.std(ddof=1)), 9) if len(pairs) > 1 else 0.0
    mean = round(float(difference.mean()), 9)  # equal volumes differ by rounding
    varied = len(pairs) > 2 and reference.std() > 0 and prediction.std() > 0
    correlation = float(np.corrcoef(reference, prediction)[0, 1]) if varied else math.nan
    means = [float(reference.mean()), float(prediction.mean())]
    return [*means, mean, mean - spread, mean + spread, correlation]


def _columns(rows: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> dict[str, tuple[str, str]]:
    names = list(dict.fromkeys(column for row in rows for column in row if column != ID))
    return split_columns(names, classes)


def _means(results: Results, found: Mapping[str, tuple[str, str]]) -> Html | None:
    """The mean Dice of each class in large letters."""
    summary = summarize(results.rows)
    shown = [(name, column) for column, (name, metric) in found.items() if metric == "dice"][:_MAX_CLASSES_SHOWN]
    pairs: list[tuple[str, object]] = [
        (f"mean Dice, {name}", f"{summary[column]['Mean']:.3f}") for name, column in shown
    ]
    return facts(pairs) if pairs else None


def _worst_cases(results: Results, found: Mapping[str, tuple[str, str]], folds: Mapping[str, int]) -> Html | None:
    """The cases to look at first."""
    worst = _worst_first(results.rows, found)[:_NUM_WORST]
    if len(worst) < 2:
        return None
    return join([el("h3", "Worst cases"), _case_table(worst, found, folds, "By their mean Dice, the worst first")])


def _metric_block(
    metric: str, results: Results, found: Mapping[str, tuple[str, str]], colours: Mapping[str, int]
) -> Html:
    """Statistics of a metric over the cases, and its box plot beside them."""
    summary = summarize(results.rows)
    row = METRICS.get(metric)
    ratio = row is not None and row.best == 1
    columns = {column: name for column, (name, one) in found.items() if one == metric}
    digits = 3 if ratio else even_decimals(summary[column]["Median"] for column in columns)
    rows, boxes = [], []
    for column, name in columns.items():
        values = [one[column] for one in results.rows if math.isfinite(one[column])]
        told = [summary[column][key] for key in ("Mean", "Std", "Median", "25th Percentile", "75th Percentile")]
        numbers = [
            f"{value:,.{digits}f}" if math.isfinite(value) else None for value in (*told, _worst(values, metric))
        ]
        rows.append([name, *numbers, len(values)])
        boxes.append((name, values, chart_colour(colours[name])))
    head = ["class", "mean", "std", "median", "25 %", "75 %", "worst", "cases"]
    plot = charts.box_plot(title_of(metric), axis_label(metric), boxes, lowest=0.0, highest=1.0 if ratio else math.inf)
    statistics = table(head, rows, caption=f"{with_unit(metric)}, {len(results.rows)} held-out cases")
    return el("div", statistics, charts.grid([plot]), class_="metric")


def _worst(values: Sequence[float], metric: str) -> float:
    if not values:
        return math.nan
    return min(values) if _higher_is_better(metric) else max(values)


def _all_cases(results: Results, found: Mapping[str, tuple[str, str]], folds: Mapping[str, int]) -> Html:
    return _case_table(results.rows, found, folds, "All cases")


def _case_table(
    rows: Sequence[Mapping[str, Any]], found: Mapping[str, tuple[str, str]], folds: Mapping[str, int], caption: str
) -> Html:
    head = ["case", "fold", *(f"{name} {with_unit(metric)}" for name, metric in found.values())]
    body = [[row[ID], folds.get(str(row[ID])), *(float(row[column]) for column in found)] for row in rows]
    return table(head, body, caption=caption, sortable=True)


def worst_class(row: Mapping[str, Any], classes: Sequence[str]) -> str:
    """The class of a case with the lowest Dice, or the worst value of the first metric; "" where there is none."""
    found = _columns([row], classes)
    metrics = list(dict.fromkeys(metric for _, metric in found.values()))
    if not metrics:
        return ""
    metric = "dice" if "dice" in metrics else metrics[0]
    sign = 1 if _higher_is_better(metric) else -1
    scored = [
        (sign * row[column], name)
        for column, (name, one) in found.items()
        if one == metric and math.isfinite(row[column])
    ]
    return min(scored)[1] if scored else ""


def _score_caption(row: Mapping[str, Any], classes: Sequence[str], fold: int | None) -> Html:
    found = _columns([row], classes)
    lines = []
    for name in list(dict.fromkeys(name for name, _ in found.values()))[:_MAX_CLASSES_SHOWN]:
        scores = [
            f"{title_of(metric)} {_score_text(row[column], metric)}"
            for column, (one, metric) in found.items()
            if one == name
        ]
        lines.append(el("li", f"{name}: {', '.join(scores)}"))
    return el(
        "ul",
        el("li", f"held out in fold {fold}: predicted by a model that had not seen it") if fold is not None else None,
        *lines,
    )


def _score_text(value: float, metric: str) -> str:
    """A score for people: ratios with three decimals, everything else with its unit."""
    unit = unit_of(metric)
    if not math.isfinite(value):
        return "not defined"
    return f"{number(value)} {unit}" if unit else f"{value:.3f}"


def _mean(values: Any) -> float:
    kept = [value for value in values if math.isfinite(value)]
    return float(np.mean(kept)) if kept else math.nan


def _not_evaluated(bundle_name: str) -> Html:
    return hint("Not evaluated yet.", f"mist-bundle evaluate {bundle_name}")
