"""Names and explanations of metrics for readers who do not know them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mist_bundle.catalog.metrics import METRICS
from mist_bundle.report.html import Html, el, join, number

_SHORT = {"hd95": "HD95", "iou": "IoU", "dice": "Dice", "f1": "F1"}
# longer explanations of the most common metrics than on the menu
_IN_WORDS = {
    "dice": "How well reference and prediction overlap: twice the shared volume over the sum of both volumes.",
    "hd95": "How far apart the outlines are: 95 % of their points are nearer to the other outline than this.",
    "hausdorff": "How far apart the outlines are where they differ most.",
    "surface_dice": "The part of both surfaces that lies within 1 mm of the other, unless another tolerance was set.",
    "average_surface_distance": "How far apart the outlines are on average.",
}


def title_of(metric: str) -> str:
    """The readable name of a metric."""
    return " ".join(_SHORT.get(word, word) for word in metric.split("_"))


def unit_of(metric: str) -> str:
    """The unit of a metric; "" for ratios and for metrics that are not on the menu."""
    return METRICS[metric].unit if metric in METRICS else ""


def with_unit(metric: str) -> str:
    """Name and unit."""
    unit = unit_of(metric)
    return f"{title_of(metric)}, {unit}" if unit else title_of(metric)


def axis_label(metric: str) -> str:
    """Unit and good direction of a metric, or its name if neither is known."""
    words = []
    if unit_of(metric):
        words.append(unit_of(metric))
    if metric in METRICS:
        words.append(f"{METRICS[metric].better} is better")
    return ", ".join(words) or title_of(metric)


def meanings(metrics: Sequence[str]) -> Html:
    """The meaning of each metric, and its best and worst value."""
    items = []
    for metric in metrics:
        row = METRICS.get(metric)
        if row is None:
            continue
        words = _IN_WORDS.get(metric, row.about.replace(" (default)", ""))
        perfect = f"{number(row.best)} {row.unit}".rstrip()
        bounded = row.worst is not None and math.isfinite(row.worst)
        worst = f", {number(row.worst)} the worst" if bounded else "; the smaller, the better"
        items += [el("dt", title_of(metric)), el("dd", f"{words} {perfect} is perfect{worst}.")]
    if not items:
        return Html()
    return join([el("h3", "What the scores mean"), el("dl", *items, class_="meanings")])
