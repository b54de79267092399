"""Where the images are cut, on what grid they are laid, and how large a patch the network sees. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning import rules
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.doubts import refuse_degenerate
from mist_bundle.planning.networks import fit_network_patch
from mist_bundle.planning.patch_budget import decide_patch_budget
from mist_bundle.planning.recipes import ASKED, Recipe, asked_or_recipe
from mist_bundle.runtime.numerics.triples import Spacing, Triple

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions

MAX_GRID_VOXELS = 2**30  # 4 GB of a channel


def decide_geometry(
    spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe
) -> dict[str, Any]:
    """The fields of a Plan that this module decides."""
    cases = fingerprint.typical_cases  # one wrong header must not decide for all
    crop = rules.decide_crop([case.crop_reduction for case in cases])
    if options.skip_preprocessing:
        crop = Decision(False, "Preprocessing is skipped, as asked.")
    shapes = [case.cropped_shape if crop.value else case.shape for case in cases]
    spacings = [case.spacing_mm for case in cases]
    spacing = rules.decide_target_spacing(spacings, shapes, spec.num_channels)
    if options.target_spacing is not None:
        spacing = Decision(options.target_spacing, f"Asked for; the rule gives {rules.joined(spacing.value)} mm.")
    pairs = zip(shapes, spacings, strict=True)
    resampled = [rules.resampled_shape(shape, own, spacing.value) for shape, own in pairs]
    if options.target_spacing is not None and not options.skip_preprocessing:
        _check_grid(resampled, [case.id for case in cases])
    median = rules.median_shape([(s[0], s[1], s[2]) for s in shapes] if options.skip_preprocessing else resampled)
    if not options.skip_preprocessing:
        refuse_degenerate(fingerprint, median, spacing.value, options.target_spacing is not None)
    return {
        "crop_to_foreground": crop,
        "target_spacing_mm": spacing,
        "median_resampled_shape": Decision(median, "Median over the cases, after crop and resampling."),
        "patch_size": _decide_patch(median, spacing.value, options, recipe),
    }


def _check_grid(shapes: Sequence[Triple], ids: Sequence[str]) -> None:
    """Refuse a spacing that was asked for where it makes images that no machine can hold."""
    largest = max(range(len(shapes)), key=lambda index: prod(shapes[index]))
    if prod(shapes[largest]) > MAX_GRID_VOXELS:
        grid = rules.joined(shapes[largest])
        message = f"makes an image of {grid} voxels of case {ids[largest]}; expected at most {MAX_GRID_VOXELS} voxels."
        raise InputError(Problem("--target_spacing", message))


def _decide_patch(median: Triple, spacing_mm: Spacing, options: PlanOptions, recipe: Recipe) -> Decision[Triple]:
    limit = asked_or_recipe("max_patch_size", options).value
    row = find_choice(NETWORKS, asked_or_recipe("network", options).value)
    if options.patch_size is not None:
        asked = Decision(options.patch_size, ASKED)
    elif row.patch_voxels:
        asked = decide_patch_budget(median, spacing_mm, limit, row.patch_voxels, _patches_at_once(options))
    elif recipe.patch_rule == "cover":
        asked = rules.decide_patch_cover(median, limit, recipe.max_patch_voxels)
    elif recipe.patch_rule == "budget":
        asked = decide_patch_budget(median, spacing_mm, limit, recipe.max_patch_voxels, _patches_at_once(options))
    else:
        asked = rules.decide_patch_power_of_two(median, limit)
    fitted, reason = fit_network_patch(row, asked.value, spacing_mm, options.patch_divisor)
    return Decision(fitted, f"{asked.because} {reason}") if reason else asked


def _patches_at_once(options: PlanOptions) -> int:
    passes: int = asked_or_recipe("accumulation_steps", options).value
    return -(-int(asked_or_recipe("batch_size", options).value) // passes)
