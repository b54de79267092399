"""What the network is asked for and how errors are counted: classes or regions, loss, weights, what is left out.

Pure, like everything in planning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.planning import rules
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.recipes import ASKED, NOT_ASKED, Recipe, asked_or_recipe

if TYPE_CHECKING:
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions

Members = Mapping[str, tuple[int, ...]]


def decide_objective(
    spec: DatasetSpec, class_voxels: Mapping[int, int], options: PlanOptions, recipe: Recipe
) -> dict[str, Any]:
    """The fields of a Plan that this module decides."""
    loss = asked_or_recipe("loss", options)
    name = loss.value
    row = find_choice(LOSSES, name)
    regions = decide_regions(spec.final_classes, spec.labels, options.regions, recipe.options.regions)
    voxels = [class_voxels[label] for label in spec.labels]
    in_regions = [sum(class_voxels[label] for label in members) for members in spec.final_classes.values()]
    share = "Not a composite loss."
    if row.base:
        share = ASKED if options.composite_weighting else "MIST 2.3: both terms count the same all along."
    return {
        "loss_arguments": options.loss_arguments or None,
        "loss": loss,
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
        return Decision(asked, ASKED)
    if of_recipe is not None:
        return Decision(of_recipe, "The recipe's protocol.")
    overlapping = any(set(first) & set(second) for first, second in combinations(members.values(), 2))
    if not overlapping:
        return Decision(False, "The classes that are scored do not overlap.")
    alone = {labels[0] for labels in members.values() if len(labels) == 1}
    inner = [label for label in labels if label != 0 and label not in alone]
    if not inner:
        return Decision(False, "Every label is scored by itself too, so the labels are learned.")
    if crossing(members):
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
        return Decision((), NOT_ASKED)
    if not isinstance(asked, str):
        return Decision(tuple(asked), ASKED)
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


def crossing(members: Members) -> list[tuple[tuple[str, tuple[int, ...]], tuple[str, tuple[int, ...]]]]:
    """Pairs of classes that overlap without one containing the other."""
    pairs = combinations(members.items(), 2)
    return [
        (first, second)
        for first, second in pairs
        if set(first[1]) & set(second[1]) not in (set(), set(first[1]), set(second[1]))
    ]


def _words(labels: Sequence[int]) -> str:
    return ", ".join(str(label) for label in labels)
