"""The colours of structures, the same in every chart, picture and viewer of a page.

The colour of a structure is an index into STRUCTURE_COLOURS. These are of medium lightness, so that they are readable
on white and dark pages as well as over images. Folds, axes and channels are not structures and have muted colours of
their own in the style sheet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mist_bundle.analysis.details import structures_of

if TYPE_CHECKING:
    from mist_bundle.planning.plan import Plan

# Contrast of at least 3 to the pages of both schemes and to black; at least 19 apart (CIE 1976 difference) for normal
# and for colour-blind vision (Machado et al. 2009, complete protanopia, deuteranopia and tritanopia).
STRUCTURE_COLOURS = ("#109be4", "#d28000", "#007d4f", "#a348a6", "#7f6a22", "#2d64e1", "#f83d6c", "#a789af")
NEUTRAL = "var(--neutral)"
_NUM_FOLD_COLOURS = 5


def structure_colour(number: int) -> str:
    """The colour of a structure as #rrggbb."""
    return STRUCTURE_COLOURS[number % len(STRUCTURE_COLOURS)]


def structure_rgb(number: int) -> tuple[int, int, int]:
    """The colour of a structure as red, green and blue from 0 to 255."""
    return rgb(structure_colour(number))


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue from 0 to 255 of #rrggbb."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def chart_colour(number: int) -> str:
    """The colour of a structure in a chart, as a CSS variable."""
    return f"var(--c{number % len(STRUCTURE_COLOURS)})"


def fold_colour(fold: int) -> str:
    """The colour of a fold in a chart, as a CSS variable."""
    return f"var(--f{fold % _NUM_FOLD_COLOURS})"


def colour_variables() -> str:
    """CSS that defines the variables of `chart_colour`."""
    variables = []
    for number, colour in enumerate(STRUCTURE_COLOURS):
        variables.append(f"--c{number}: {colour};")
    return f":root {{ {' '.join(variables)} }}"


def label_colours(labels: Sequence[int]) -> dict[int, int]:
    """Label value -> index of its colour, in the order of the labels; the background has none."""
    foreground = [label for label in labels if label != 0]
    return dict(zip(foreground, range(len(foreground)), strict=True))


def structure_colours(
    labels: Sequence[int], label_names: Mapping[int, str], final_classes: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """Name of a label or class -> index of its colour; a class of a single label has the colour of that label."""
    number_of: dict[tuple[int, ...], int] = {}
    for number, structure in enumerate(structures_of(labels, label_names, final_classes).values()):
        number_of[structure] = number
    colours = {}
    for label in labels:
        if label != 0:
            colours[label_names[label]] = number_of[label,]
    for name, members in final_classes.items():
        colours[name] = number_of.get(tuple(members), 0)
    return colours


def label_names_of(plan: Plan) -> dict[int, str]:
    """Label value -> its name."""
    return dict(zip(plan.labels, plan.label_names, strict=True))


def colours_of_plan(plan: Plan) -> dict[str, int]:
    """The `structure_colours` of a bundle."""
    return structure_colours(plan.labels, label_names_of(plan), plan.final_classes)
