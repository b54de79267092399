"""What the network is asked for and how errors are counted: classes or regions, loss, weights, what is left out.

Pure, like everything in planning. Problems that need no measurement are found before the data are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from mist_bundle.catalog.choice import find_choice, is_user_code, nearest
from mist_bundle.catalog.losses import COMPOSITE_WEIGHTINGS, LOSSES
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning import rules
from mist_bundle.planning.networks import argument_problems
from mist_bundle.planning.recipes import RECIPES, Recipe
from mist_bundle.planning.rules import Decision

if TYPE_CHECKING:
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions

AUTO = "auto"
# arguments of a loss that belong to another option
_SETTLED = {
    "regions": "--regions",
    "ignore_index": "--ignore_label",
    "class_weights": "--class_weights",
    "spacing_mm": "the data",
}
Members = Mapping[str, tuple[int, ...]]


def objective_problems(options: PlanOptions) -> list[Problem]:
    """What is wrong with the options of the loss, whatever the data."""
    if options.recipe not in RECIPES:
        return []
    name = options.loss or RECIPES[options.recipe].loss
    if name not in LOSSES and not is_user_code(name):
        return []  # said elsewhere
    row = find_choice(LOSSES, name)
    problems = []
    shape = options.composite_weighting
    if shape is not None and shape not in COMPOSITE_WEIGHTINGS:
        message = f"is {shape!r}. {nearest(shape, COMPOSITE_WEIGHTINGS)}"
        problems.append(Problem("--composite_weighting", message))
    elif shape is not None and not row.base:
        composites = ", ".join(other for other, its in LOSSES.items() if its.base)
        message = f"weighs the two terms of a composite loss, and {name} has one term. Composite are {composites}."
        problems.append(Problem("--composite_weighting", message))
    if "distance_maps" not in row.needs and not options.distance_maps:
        users = ", ".join(other for other, its in LOSSES.items() if "distance_maps" in its.needs)
        asked = {"normalize_distance_maps": not options.normalize_distance_maps}
        asked["distance_maps_in_mm"] = options.distance_maps_in_mm
        message = f"has no effect with the loss {name}, which uses no distance maps. Those that do: {users}."
        problems += [Problem(f"--{option}", message) for option, given in asked.items() if given]
    problems += argument_problems("--loss_arguments", options.loss_arguments, _SETTLED)
    weights = options.class_weights
    if isinstance(weights, str):
        if weights != AUTO:
            problems.append(Problem("--class_weights", f"is {weights!r}; expected auto, or numbers like 0.5,1,2."))
    elif weights is not None and not _can_be_weights(weights):
        message = f"is {list(weights)}; expected numbers of 0 or more, one of them above 0."
        problems.append(Problem("--class_weights", message))
    return problems


def _can_be_weights(weights: Sequence[float]) -> bool:
    return all(isfinite(weight) and weight >= 0 for weight in weights) and any(weight > 0 for weight in weights)


def check_objective(spec: DatasetSpec, options: PlanOptions) -> None:
    """Raise InputError for options of the loss that do not fit the dataset's labels and classes.

    An unknown recipe is another check's to report; this one then looks at what does not depend on it.
    """
    problems = []
    of_recipe = RECIPES[options.recipe].regions if options.recipe in RECIPES else None
    regions = decide_regions(spec.final_classes, spec.labels, options.regions, of_recipe).value
    if regions:
        problems += [
            Problem(
                "--regions",
                f"asks for overlapping outputs, but neither of {one} {list(first)} and {other} {list(second)} "
                "contains the other: no label map can hold both. Nest them, part them, or leave --regions out.",
            )
            for (one, first), (other, second) in _crossing(spec.final_classes)
        ]
    given = options.region_labels
    if given is not None:
        problems += _region_label_problems(given, spec.final_classes, regions=regions)
    weights = options.class_weights
    channels = list(spec.final_classes) if regions else [f"label {label}" for label in spec.labels]
    if weights is not None and not isinstance(weights, str) and len(weights) != len(channels):
        message = f"holds {len(weights)} numbers, but the network has {len(channels)} outputs: {', '.join(channels)}."
        problems.append(Problem("--class_weights", message))
    if problems:
        raise InputError(problems)


def _region_label_problems(given: Sequence[int], members: Members, *, regions: bool) -> list[Problem]:
    if not regions:
        return [Problem("--region_labels", "needs --regions: classes that exclude each other write their own labels.")]
    if len(given) != len(members):
        return [Problem("--region_labels", f"holds {len(given)} labels for {len(members)} regions {list(members)}.")]
    return [
        Problem("--region_labels", f"writes {label} for {name}, which is made of {list(labels)}.")
        for label, (name, labels) in zip(given, members.items(), strict=True)
        if label not in labels
    ]


def decide_objective(
    spec: DatasetSpec, class_voxels: Mapping[int, int], options: PlanOptions, recipe: Recipe
) -> dict[str, Any]:
    """The fields of a Plan that this module decides."""
    check_objective(spec, options)
    name = options.loss or recipe.loss
    row = find_choice(LOSSES, name)
    regions = decide_regions(spec.final_classes, spec.labels, options.regions, recipe.regions)
    voxels = [class_voxels[label] for label in spec.labels]
    in_regions = [sum(class_voxels[label] for label in members) for members in spec.final_classes.values()]
    share = "Not a composite loss."
    if row.base:
        share = "Asked for." if options.composite_weighting else "MIST 2.3: both terms count the same all along."
    return {
        "loss_arguments": options.loss_arguments or None,
        "loss": Decision(name, "Asked for." if options.loss is not None else f"Recipe {options.recipe}."),
        "composite_weighting": Decision(options.composite_weighting or "constant" if row.base else "none", share),
        "distance_maps": _decide_maps(name, options, needed="distance_maps" in row.needs),
        "normalize_distance_maps": options.normalize_distance_maps,
        "distance_maps_in_mm": options.distance_maps_in_mm,
        "ignore_label": spec.ignore_label,
        "regions": regions,
        "region_labels": _region_labels(spec.final_classes, class_voxels, options) if regions.value else (),
        "region_order": region_order(spec.final_classes, in_regions) if regions.value else (),
        "class_weights": rules.decide_class_weights(voxels),
        "loss_class_weights": _decide_loss_weights(in_regions if regions.value else voxels, options.class_weights),
    }


def decide_regions(
    members: Members, labels: Sequence[int], asked: bool | None, of_recipe: bool | None
) -> Decision[bool]:
    """Whether the network learns the classes that are scored (sigmoid, overlapping) or the labels (softmax).

    Left alone: regions where the classes to be scored overlap and some label is none of them by itself, so that what is
    scored is not what a softmax over the labels would learn (BraTS). Labels otherwise.
    """
    if asked is not None:
        return Decision(asked, "Asked for.")
    if of_recipe is not None:
        return Decision(of_recipe, "The recipe's protocol.")
    overlapping = any(set(first) & set(second) for first, second in combinations(members.values(), 2))
    if not overlapping:
        return Decision(False, "The classes that are scored do not overlap.")
    alone = {labels[0] for labels in members.values() if len(labels) == 1}
    inner = [label for label in labels if label != 0 and label not in alone]
    if not inner:
        return Decision(False, "Every label is scored by itself too, so the labels are learned.")
    if _crossing(members):
        return Decision(False, "The classes that are scored cross each other: no label map could hold their outputs.")
    because = f"The classes that are scored overlap, and label {_words(inner)} is not scored by itself."
    return Decision(True, because)


def region_order(members: Members, voxels: Sequence[int]) -> tuple[int, ...]:
    """In which order the regions are written: the largest first, a region before those inside it.

    Args:
        members: labels of each region.
        voxels: of each region, over all cases.
    """
    labels = list(members.values())
    return tuple(sorted(range(len(labels)), key=lambda index: (-voxels[index], -len(labels[index]), index)))


def _region_labels(members: Members, class_voxels: Mapping[int, int], options: PlanOptions) -> tuple[int, ...]:
    """The label that each region writes: of its labels that no region inside it has, the one with most voxels."""
    if options.region_labels is not None:
        return tuple(options.region_labels)
    chosen = []
    for labels in members.values():
        within = {label for other in members.values() if set(other) < set(labels) for label in other}
        own = [label for label in labels if label not in within] or list(labels)
        chosen.append(max(own, key=lambda label: (class_voxels[label], -label)))
    return tuple(chosen)


def _decide_loss_weights(voxels: Sequence[int], asked: Sequence[float] | str | None) -> Decision[tuple[float, ...]]:
    if asked is None:
        return Decision((), "Not asked for.")
    if not isinstance(asked, str):
        return Decision(tuple(asked), "Asked for.")
    balanced = np.asarray(rules.decide_class_weights(voxels).value)
    scaled = balanced / balanced.mean()
    because = "Inverse to the voxels of each output, one on average, so that the loss keeps its scale."
    return Decision(tuple(float(f"{weight:.6g}") for weight in scaled), because)


def _decide_maps(name: str, options: PlanOptions, *, needed: bool) -> Decision[bool]:
    if needed:
        unit = "millimetres" if options.distance_maps_in_mm else "voxels"
        scale = "each side scaled to 1" if options.normalize_distance_maps else f"in {unit}"
        return Decision(True, f"The loss {name} needs them, {scale}. Patches are not zoomed then.")
    if options.distance_maps:
        return Decision(True, f"The loss {name} says that it needs them. Patches are not zoomed then.")
    return Decision(False, "The loss does not need them.")


def _crossing(members: Members) -> list[tuple[tuple[str, tuple[int, ...]], tuple[str, tuple[int, ...]]]]:
    """Pairs of classes that overlap without one containing the other."""
    pairs = combinations(members.items(), 2)
    return [
        (first, second)
        for first, second in pairs
        if set(first[1]) & set(second[1]) not in (set(), set(first[1]), set(second[1]))
    ]


def _words(labels: Sequence[int]) -> str:
    return ", ".join(str(label) for label in labels)
