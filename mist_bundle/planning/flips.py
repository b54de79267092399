"""Left and right in a plan: what is flipped in training, and on which side structures were in the training data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mist_bundle.dataset.sides import named_classes, side_pairs
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.recipes import resolve_option

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions

LEFT_RIGHT_AXIS = 0  # of L, P, S


def decide_flips(spec: DatasetSpec, options: PlanOptions) -> Decision[tuple[int, ...]]:
    """The axes that training flips: without the left-right axis where classes differ by their side only."""
    flips = resolve_option("flip_axes", options)
    axes = tuple(sorted(set(flips.value)))
    pairs = side_pairs(named_classes(spec.label_names, spec.final_classes))
    if options.flip_axes is not None or not pairs or LEFT_RIGHT_AXIS not in axes:
        return Decision(axes, flips.because)
    names = f"{pairs[0].left} and {pairs[0].right}"
    because = (
        f"{names} differ by their side only, so nothing is flipped from left to right. Other axes: {flips.because}"
    )
    return Decision(tuple(axis for axis in axes if axis != LEFT_RIGHT_AXIS), because)


def measured_sides(spec: DatasetSpec, fingerprint: Fingerprint) -> Mapping[str, Any] | None:
    """For each pair of left and right classes, in how many cases they lie as named and contrary, and in words."""
    sides = {}
    for counts in fingerprint.sides(spec.label_names, spec.final_classes):
        sides[f"{counts.left}, {counts.right}"] = {
            "as_named": counts.as_named,
            "contrary": len(counts.contrary),
            "sentence": counts.sentence,
        }
    return sides or None
