"""Decisions about space: crop, grid, size of a patch, and how many of them make a step. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning import rules
from mist_bundle.planning.data_checks import refuse_degenerate
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.networks import fit_network_patch
from mist_bundle.planning.nnunet_rule import PresetRequest, decide_preset_batch, decide_preset_patch
from mist_bundle.planning.patch_budget import decide_patch_budget
from mist_bundle.planning.recipes import CHOSEN, Recipe, resolve_option
from mist_bundle.runtime.numerics.triples import Triple, triple

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec
    from mist_bundle.planning.options import PlanOptions

MAX_GRID_VOXELS = 2**30  # 4 GB of a channel


def decide_geometry(
    spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe
) -> dict[str, Any]:
    """Decide crop, target spacing and patch size; the result holds these fields of a Plan by name."""
    cases = fingerprint.typical_cases  # a wrong header must not decide for all cases
    crop = rules.decide_crop([case.crop_reduction for case in cases])
    if options.skip_preprocessing:
        crop = Decision(False, "The user skips preprocessing.")
    shapes: dict[str, Triple] = {}
    spacings: list[Sequence[float]] = []
    for case in cases:
        shapes[case.id] = triple(case.cropped_shape if crop.value else case.shape)
        spacings.append(case.spacing_mm)
    spacing = rules.decide_target_spacing(spacings, list(shapes.values()), spec.num_channels)
    if recipe.max_image_voxels:
        spacing = rules.enlarge_to_voxels(spacing, spacings, list(shapes.values()), recipe.max_image_voxels)
    if options.target_spacing is not None:
        because = f"Chosen by the user; the rule gives {rules.joined(spacing.value)} mm."
        spacing = Decision(options.target_spacing, because)
    if not options.skip_preprocessing:
        for case in cases:
            shapes[case.id] = rules.resampled_shape(shapes[case.id], case.spacing_mm, spacing.value)
        if options.target_spacing is not None:
            _check_grid(shapes)
    median = rules.median_shape(list(shapes.values()))
    if not options.skip_preprocessing:
        refuse_degenerate(fingerprint, median, spacing.value, by_user=options.target_spacing is not None)
    geometry: dict[str, Any] = {
        "crop_to_foreground": crop,
        "target_spacing_mm": spacing,
        "median_resampled_shape": Decision(median, "Median over the cases, after crop and resampling."),
    }
    geometry["patch_size"] = _decide_patch(spec, fingerprint, options, recipe, geometry)
    return geometry


def _check_grid(shapes: Mapping[str, Triple]) -> None:
    """Refuse a user's spacing that produces images too large for any machine.

    Args:
        shapes: case id -> shape of the resampled image.
    """
    case_id = max(shapes, key=lambda name: prod(shapes[name]))
    if prod(shapes[case_id]) > MAX_GRID_VOXELS:
        grid = rules.joined(shapes[case_id])
        message = f"makes an image of {grid} voxels of {case_id}; expected at most {MAX_GRID_VOXELS} voxels."
        raise InputError(Problem("--target_spacing", message))


def _decide_patch(
    spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe, geometry: Mapping[str, Any]
) -> Decision[Triple]:
    median, spacing_mm = geometry["median_resampled_shape"].value, geometry["target_spacing_mm"].value
    limit = resolve_option("max_patch_size", options).value
    row = find_choice(NETWORKS, resolve_option("network", options).value)
    if options.patch_size is not None:
        patch = Decision(options.patch_size, CHOSEN)
    elif row.memory_gb:
        request = _preset_request(spec, fingerprint, options, recipe, geometry)
        patch = decide_preset_patch(request, _patches_per_pass(options))
    elif recipe.patch_rule == "cover":
        patch = rules.decide_patch_cover(median, limit, recipe.max_patch_voxels)
    elif recipe.patch_rule == "budget":
        patch = decide_patch_budget(median, spacing_mm, limit, recipe.max_patch_voxels, _patches_per_pass(options))
    else:
        patch = rules.decide_patch_power_of_two(median, limit)
    fitted, reason = fit_network_patch(row, patch.value, spacing_mm, options.patch_divisor)
    return Decision(fitted, f"{patch.because} {reason}") if reason else patch


def decide_batch_size(
    spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe, geometry: Mapping[str, Any]
) -> Decision[int]:
    """Decide the patches of a step: the user's number, the recipe's, or by the memory that the network is designed for.

    Args:
        spec: dataset description.
        fingerprint: measurements of the dataset.
        options: the user's options.
        recipe: decides what the user leaves open.
        geometry: the fields that `decide_geometry` decided.
    """
    batch = resolve_option("batch_size", options)
    row = find_choice(NETWORKS, resolve_option("network", options).value)
    if batch.because == CHOSEN:
        return batch
    if recipe.batch_because:
        return Decision(batch.value, f"{batch.because} {recipe.batch_because}")
    if not row.memory_gb:
        return batch
    request = _preset_request(spec, fingerprint, options, recipe, geometry)
    return decide_preset_batch(geometry["patch_size"].value, request)


def _preset_request(
    spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe, geometry: Mapping[str, Any]
) -> PresetRequest:
    return PresetRequest(
        median_shape=geometry["median_resampled_shape"].value,
        spacing_mm=geometry["target_spacing_mm"].value,
        max_patch_size=resolve_option("max_patch_size", options).value,
        filters=recipe.filters,
        out_channels=len(spec.labels),
        num_cases=len(fingerprint.cases),
        memory_gb=find_choice(NETWORKS, resolve_option("network", options).value).memory_gb,
    )


def _patches_per_pass(options: PlanOptions) -> int:
    passes: int = resolve_option("accumulation_steps", options).value
    batch_size: int = resolve_option("batch_size", options).value
    return ceil(batch_size / passes)
