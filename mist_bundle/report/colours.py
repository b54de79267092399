"""Which colour belongs to which structure: the same in every picture and chart of a page.

The colour of a structure is a number: of OVERLAY_COLOURS over pictures, which are dark in both schemes, and of the
style sheet's --c0 to --c7 in charts. Both hold the same hues in the same order. What is no structure (an axis, a
channel, a fold) has colours of its own, so that nobody takes it for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mist_bundle.analysis.details import structures_of

OVERLAY_COLOURS = ("#56b4e9", "#ff8b4a", "#2fc79a", "#ee8bc4", "#f0d040", "#b3a4ff", "#ff6f61", "#ffffff")

NEUTRAL = "var(--neutral)"
_NUM_CHART_COLOURS, _NUM_FOLD_COLOURS = 8, 5


def chart_colour(number: int) -> str:
    """The colour of a structure in a chart, as CSS."""
    return f"var(--c{number % _NUM_CHART_COLOURS})"


def fold_colour(fold: int) -> str:
    """The colour of a fold in a chart, as CSS."""
    return f"var(--f{fold % _NUM_FOLD_COLOURS})"


def label_colours(labels: Sequence[int]) -> dict[int, int]:
    """Label value -> number of its colour, in the order of the labels; the background has none."""
    return {label: index for index, label in enumerate(label for label in labels if label != 0)}


def structure_colours(
    labels: Sequence[int], label_names: Mapping[int, str], final_classes: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Name of a label or class -> number of its colour; a class of one label has that label's."""
    single = label_colours(labels)
    colours = {label_names[label]: index for label, index in single.items()}
    several = {
        members: index for index, members in enumerate(structures_of(labels, label_names, final_classes).values())
    }
    for name, members in final_classes.items():
        colours[name] = single.get(members[0], 0) if len(members) == 1 else several[tuple(members)]
    return colours


def colours_of_plan(plan: Mapping[str, Any]) -> dict[str, int]:
    """The same for a bundle's plan.json."""
    names = dict(zip(plan["labels"], plan["label_names"], strict=True))
    return structure_colours(plan["labels"], names, plan["final_classes"])
