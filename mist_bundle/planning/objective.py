"""What the network learns and how errors are counted: classes or regions, loss, weights, ignored voxels.

Pure, like everything in planning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mist_bundle.catalog.choice import Choice, find_choice
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.planning import rules
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.recipes import CHOSEN, OFF, Recipe, resolve_option

if TYPE_CHECKING:
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions

Members = Mapping[str, tuple[int, ...]]  # class -> its labels
NamedLabels = tuple[str, tuple[int, ...]]  # a class and its labels


def decide_objective(
    spec: DatasetSpec, class_voxels: Mapping[int, int], options: PlanOptions, recipe: Recipe
) -> dict[str, Any]:
    """Decide outputs, loss and weights; the result holds these fields of a Plan by name.

    Args:
        spec: dataset description.
        class_voxels: label -> voxels over all cases.
        options: the user's options.
        recipe: decides what the user leaves open.
    """
    loss = resolve_option("loss", options)
    row = find_choice(LOSSES, loss.value)
    regions = decide_regions(spec.final_classes, spec.labels, options.regions, recipe.options.regions)
    label_voxels = [class_voxels[label] for label in spec.labels]
    output_voxels = label_voxels
    region_labels: tuple[int, ...] = ()
    order: tuple[int, ...] = ()
    if regions.value:
        output_voxels = _region_voxels(spec.final_classes, class_voxels)
        region_labels = _region_labels(spec.final_classes, class_voxels, options)
        order = region_order(spec.final_classes, output_voxels)
    return {
        "loss_arguments": options.loss_arguments or None,
        "loss": loss,
        "composite_weighting": _decide_composite_weighting(row, options),
        "distance_maps": _decide_maps(loss.value, options, required="distance_maps" in row.needs),
        "normalize_distance_maps": options.normalize_distance_maps,
        "distance_maps_in_mm": options.distance_maps_in_mm,
        "ignore_label": spec.ignore_label,
        "regions": regions,
        "region_labels": region_labels,
        "region_order": order,
        "class_weights": rules.decide_class_weights(label_voxels),
        "loss_class_weights": _decide_loss_weights(output_voxels, options.class_weights),
        "patch_sampling": Decision(options.patch_sampling, CHOSEN) if options.patch_sampling else None,
    }


def decide_regions(
    members: Members, labels: Sequence[int], by_user: bool | None, by_recipe: bool | None
) -> Decision[bool]:
    """Decide whether the network learns the scored classes (sigmoid, overlapping) or the labels (softmax).

    If neither the user nor the recipe decides: regions if the scored classes overlap and some label is not a class by
    itself, because a softmax over the labels would then not learn what is scored (BraTS). Labels otherwise.
    """
    if by_user is not None:
        return Decision(by_user, CHOSEN)
    if by_recipe is not None:
        return Decision(by_recipe, "The recipe's protocol.")
    if not _overlapping(members):
        return Decision(False, "The scored classes do not overlap.")
    inner = [label for label in labels if label != 0 and (label,) not in members.values()]
    if not inner:
        return Decision(False, "Every label is scored by itself too, so the labels are learned.")
    if crossing(members):
        return Decision(False, "The scored classes cross each other: no label map could hold their outputs.")
    if len(inner) == 1:
        lacking = f"label {inner[0]} is not scored by itself"
    else:
        lacking = f"the labels {', '.join(map(str, inner))} are not scored by themselves"
    return Decision(True, f"The scored classes overlap, and {lacking}.")


def region_order(members: Members, voxels: Sequence[int]) -> tuple[int, ...]:
    """Order in which regions are written: the largest first, a region before those inside it.

    Args:
        members: labels of each region.
        voxels: voxels of each region, over all cases.
    """
    sizes = list(map(len, members.values()))
    order = sorted(range(len(sizes)), key=lambda index: (-voxels[index], -sizes[index], index))
    return tuple(order)


def crossing(members: Members) -> list[tuple[NamedLabels, NamedLabels]]:
    """List the pairs of classes that overlap while neither contains the other."""
    pairs = []
    for first, second in combinations(members.items(), 2):
        shared = set(first[1]) & set(second[1])
        if shared and shared != set(first[1]) and shared != set(second[1]):
            pairs.append((first, second))
    return pairs


def _overlapping(members: Members) -> bool:
    return any(set(first) & set(second) for first, second in combinations(members.values(), 2))


def _region_voxels(members: Members, class_voxels: Mapping[int, int]) -> list[int]:
    voxels = []
    for labels in members.values():
        voxels.append(sum(class_voxels[label] for label in labels))
    return voxels


def _region_labels(members: Members, class_voxels: Mapping[int, int], options: PlanOptions) -> tuple[int, ...]:
    """The label that each region writes: the most frequent of its labels that belong to no region inside it."""
    if options.region_labels is not None:
        return tuple(options.region_labels)
    chosen = []
    for labels in members.values():
        own = set(labels)
        for other in members.values():
            if set(other) < set(labels):
                own -= set(other)
        chosen.append(max(own or labels, key=lambda label: (class_voxels[label], -label)))
    return tuple(chosen)


def _decide_composite_weighting(loss: Choice, options: PlanOptions) -> Decision[str]:
    if not loss.base:
        return Decision("none", "Not a composite loss.")
    if options.composite_weighting:
        return Decision(options.composite_weighting, CHOSEN)
    return Decision("constant", "MIST 2.3: both terms have the same weight throughout.")


def _decide_loss_weights(voxels: Sequence[int], by_user: Sequence[float] | str | None) -> Decision[tuple[float, ...]]:
    if by_user is None:
        return Decision((), OFF)
    if not isinstance(by_user, str):
        return Decision(tuple(by_user), CHOSEN)
    balanced = np.asarray(rules.decide_class_weights(voxels).value)
    scaled = balanced / balanced.mean()
    because = "Inverse to the voxels of each output, with mean 1, so that the loss keeps its scale."
    return Decision(tuple(float(f"{weight:.6g}") for weight in scaled), because)


def _decide_maps(loss: str, options: PlanOptions, *, required: bool) -> Decision[bool]:
    if required:
        scale = "in voxels"
        if options.normalize_distance_maps:
            scale = "each side scaled to 1"
        elif options.distance_maps_in_mm:
            scale = "in millimetres"
        return Decision(True, f"The loss {loss} needs them, {scale}. Patches are not zoomed then.")
    if options.distance_maps:
        return Decision(True, f"The loss {loss} declares that it needs them. Patches are not zoomed then.")
    return Decision(False, "The loss does not need them.")
