"""The plan of a model that another program trained: its decisions instead of the rules', each saying so. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mist_bundle.dataset.names import default_label_name
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.objective import decide_objective
from mist_bundle.planning.optimisation import decide_optimisation
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan import SIGMA_SCALE, Plan
from mist_bundle.planning.recipes import OVERLAP, RECIPES, resolve_option
from mist_bundle.planning.topology import strides_product
from mist_bundle.runtime.numerics.triples import Spacing, Triple

if TYPE_CHECKING:
    from mist_bundle.dataset.spec import DatasetSpec

# whose rules a plan's `preprocessing` follows
NNUNET_RULES, MIST_RULES = "nnunet", "mist"
TRAINING_DATA = "training data"  # key of the warning that the training cases are not there
_NO_CASES = "Nothing is known about the training cases."


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedModel:
    """A model that another program trained. Axes are those of the prepared grid.

    Attributes:
        program: name and major version of the program, such as "nnU-Net v2".
        origin: what the bundle keeps about where it comes from.
        network: row of the catalogue.
        network_arguments: arguments of the network in training.
        strides: of each level, full resolution first.
        widths: channels of each level.
        bottleneck: dotted name of the module that puts out the coarsest features.
        residual: whether its blocks have a shortcut.
        heads: auxiliary heads in training.
        spacing_mm: spacing of the prepared grid.
        patch_size: voxels of a patch.
        median_shape: median (X, Y, Z) of the prepared training images.
        fields: further decisions about preprocessing, by field of the plan.
        preprocessing: transforms of the program, or None for MIST's own.
        inference: the program's own way of inference, or None for MIST's.
        overlap: of the sliding windows.
        test_time_flip_axes: axes that are flipped at prediction.
        options: of the planner, for a training that continues.
        regions: whether outputs are regions that may overlap.
        region_labels: label that each region writes, in the order of the outputs, which is that of writing.
        num_cases: training cases, as far as they are known.
        num_folds: folds of the training.
        warnings: what cannot be known or is not kept: (key, sentence).
    """

    program: str
    origin: Mapping[str, Any]
    network: str
    network_arguments: Mapping[str, Any]
    strides: tuple[Triple, ...]
    widths: tuple[int, ...]
    bottleneck: str
    residual: bool
    heads: int
    spacing_mm: Spacing
    patch_size: Triple
    median_shape: Triple
    fields: Mapping[str, Any]
    preprocessing: Mapping[str, Any] | None
    inference: Mapping[str, Any] | None
    overlap: float
    test_time_flip_axes: tuple[int, ...]
    options: PlanOptions
    regions: bool
    region_labels: tuple[int, ...]
    num_cases: int
    num_folds: int
    warnings: tuple[tuple[str, str], ...]

    @property
    def because(self) -> str:
        """Reason of everything that the model decides."""
        return f"As {self.program} trained it."

    def with_cases(self) -> ImportedModel:
        """Return the same model whose training cases are there to be measured."""
        warnings = tuple(warning for warning in self.warnings if warning[0] != TRAINING_DATA)
        return replace(self, warnings=warnings)

    @property
    def planner_options(self) -> PlanOptions:
        """Options for the rules about everything that the model leaves open."""
        options = replace(self.options, regions=self.regions, region_labels=self.region_labels or None)
        return replace(options, network=self.network, patch_size=self.patch_size, target_spacing=self.spacing_mm)


def adopt(plan: Plan, model: ImportedModel) -> Plan:
    """Return a plan with the decisions of a trained model in place of the rules'."""
    because = model.because
    changes: dict[str, Any] = {
        "network": Decision(model.network, because),
        "network_arguments": dict(model.network_arguments),
        "network_branches": _branches(model),
        "patch_divisor": strides_product(model.strides),
        "residual": Decision(model.residual, because),
        "deep_supervision_heads": Decision(model.heads, because),
        "deep_supervision_weights": None,
        "target_spacing_mm": Decision(model.spacing_mm, because),
        "patch_size": Decision(model.patch_size, because),
        "region_order": tuple(range(len(model.region_labels))),
        "overlap": Decision(model.overlap, because),
        "test_time_flip_axes": Decision(model.test_time_flip_axes, because),
        "preprocessing": None if model.preprocessing is None else dict(model.preprocessing),
        "inference": None if model.inference is None else dict(model.inference),
        "origin": dict(model.origin),
        "warnings": (*(plan.warnings or ()), *model.warnings) or None,
        **model.fields,
    }
    return replace(plan, **changes)


def plan_without_cases(spec: DatasetSpec, model: ImportedModel) -> Plan:
    """Return the plan of a trained model whose training cases are not there.

    Args:
        spec: channels and labels of the model.
        model: all that the program left behind.
    """
    options = model.planner_options
    recipe = RECIPES[options.recipe]
    epochs, batch = resolve_option("epochs", options), resolve_option("batch_size", options)
    steps = Decision(options.steps_per_epoch or recipe.min_steps_per_epoch, model.because)
    flips = tuple(sorted(set(resolve_option("flip_axes", options).value)))
    objective = decide_objective(spec, dict.fromkeys(spec.labels, 1), options, recipe)
    objective["class_weights"] = Decision((1.0,) * spec.num_classes, _NO_CASES)
    placeholder = Decision(False, model.because)
    plan = Plan(
        task=spec.task,
        modality=spec.modality,
        channel_names=spec.channel_names,
        labels=spec.labels,
        label_names=tuple(spec.label_names.get(label, default_label_name(label)) for label in spec.labels),
        final_classes=spec.final_classes,
        num_cases=model.num_cases,
        num_folds=model.num_folds,
        skip_preprocessing=False,
        seed=options.seed,
        **objective,
        **decide_optimisation(options, recipe, epochs.value * steps.value),
        recipe=Decision(options.recipe, recipe.about),
        crop_to_foreground=placeholder,
        bias_correction=placeholder,
        target_spacing_mm=Decision(model.spacing_mm, model.because),
        median_resampled_shape=Decision(model.median_shape, model.because),
        patch_size=Decision(model.patch_size, model.because),
        normalization=Decision("per_image", model.because),
        intensity_windows=Decision((), model.because),
        normalize_nonzero=placeholder,
        network=Decision(model.network, model.because),
        network_arguments={},
        network_branches=_branches(model),
        patch_divisor=(1, 1, 1),
        residual=placeholder,
        deep_supervision_heads=Decision(0, model.because),
        vae=Decision(False, model.because),
        epochs=epochs,
        steps_per_epoch=steps,
        batch_size=batch,
        val_fraction=resolve_option("val_fraction", options),
        val_interval=Decision(recipe.val_interval, recipe.about),
        overlap=Decision(OVERLAP, "Sliding windows overlap by half."),
        sigma_scale=Decision(SIGMA_SCALE, "Gaussian blending with sigma 0.125 of the patch."),
        flip_axes=Decision(flips, model.because),
        test_time_flip_axes=Decision((), model.because),
    )
    return adopt(plan, model)


def _branches(model: ImportedModel) -> dict[str, Any]:
    return {
        "head_modules": [],
        "head_channels": [],
        "bottleneck": model.bottleneck,
        "strides": list(map(list, model.strides)),
        "widths": list(model.widths),
    }
