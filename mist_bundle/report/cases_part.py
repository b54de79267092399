"""The section about cases: pictures of the worst, median and best of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mist_bundle.planning.plan import Plan
from mist_bundle.report.case_pictures import case_figure, label_legend
from mist_bundle.report.colours import label_names_of
from mist_bundle.report.html import Html, bullets, el, section
from mist_bundle.report.metric_words import title_of, unit_of
from mist_bundle.report.results_part import Results, not_evaluated
from mist_bundle.report.score_table import ScoreTable
from mist_bundle.report.sources import CaseFiles

_MAX_CLASSES = 8  # in a caption


def extreme_cases(scores: ScoreTable, each: int = 2) -> dict[str, list[str]]:
    """Ids of the worst, median and best cases by mean Dice, or by the first metric without Dice.

    A case belongs to a single group. Cases without a score are left out.
    """
    ids = scores.worst_first()
    each = min(each, max(1, len(ids) // 3))
    worst = ids[:each]
    best = ids[each:][-each:]
    middle = max(each, (len(ids) - each) // 2)
    median = ids[middle : len(ids) - each][:each]
    groups = {}
    for name, members in (("Worst", worst), ("Median", median), ("Best", best[::-1])):
        if members:
            groups[name] = members
    return groups


def cases_section(results: Results | None, files: Sequence[CaseFiles], plan: Plan, each: int, bundle_name: str) -> Html:
    """Pictures of the worst, median and best cases with reference and prediction.

    Args:
        results: the scores, if any.
        files: of the cases.
        plan: of the bundle.
        each: number of cases in each group.
        bundle_name: for commands.
    """
    if results is None:
        return section("cases", "Cases", not_evaluated(bundle_name))
    files_by_id = {case.id: case for case in files}
    names = label_names_of(plan)
    parts: list[Html] = []
    for group, ids in extreme_cases(results.table, each).items():
        figures = []
        for case_id in ids:
            case = files_by_id.get(case_id)
            if case is not None:
                worst = results.table.worst_class(case_id)
                focus = (worst, plan.final_classes.get(worst, ()))
                caption = _score_caption(results.table, case)
                figures.append(case_figure(case, names, plan.modality, caption, whole=False, focus=focus))
        parts += [el("h3", group), el("div", *figures, class_="cases")]
    lead = (
        "By mean Dice over the classes. Slices go through the largest extent of the class with the worst score and "
        "show 15 mm around all labels. Letters mark directions in the patient. Click a picture to enlarge it."
    )
    return section("cases", "Worst, median and best cases", label_legend(names, prediction=True), *parts, lead=lead)


def _score_caption(scores: ScoreTable, case: CaseFiles) -> Html:
    lines = []
    if case.fold is not None:
        lines.append(f"held out in fold {case.fold}: predicted by a model that had not seen it")
    values = scores.scores.loc[case.id]
    for name in scores.classes[:_MAX_CLASSES]:
        words = []
        for metric, value in values[name].items():
            words.append(f"{title_of(str(metric))} {_score_text(value, str(metric))}")
        lines.append(f"{name}: {', '.join(words)}")
    return bullets(lines)


def _score_text(value: float, metric: str) -> str:
    """A score as text: ratios with three decimals, other metrics with one and their unit."""
    if not math.isfinite(value):
        return "not defined"
    unit = unit_of(metric)
    return f"{value:.1f} {unit}" if unit else f"{value:.3f}"
