"""The Plan: every number that the bundle needs, each with the reason it was decided so.

It receives what the user gave (DatasetSpec), what was measured (Fingerprint) and what was asked for (PlanOptions), and
decides everything else. Pure: no files, no torch. The bundle generator turns a Plan into JSON, and nothing else does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mist_bundle.catalog.augmentations import AUGMENTATIONS
from mist_bundle.catalog.choice import Choice, find_choice
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning import rules
from mist_bundle.planning.checks import check_data_options, check_options
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.doubts import refuse_nothing_to_learn
from mist_bundle.planning.geometry import decide_geometry
from mist_bundle.planning.networks import (
    DEFAULT_KERNEL_SIZE,
    NetworkSize,
    SizeRequest,
    decide_head_weights,
    size_network,
)
from mist_bundle.planning.objective import decide_objective
from mist_bundle.planning.optimisation import decide_optimisation
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan_json import read_fields
from mist_bundle.planning.ranges import training_ranges
from mist_bundle.planning.recipes import ASKED, NOT_ASKED, RECIPES, Recipe, asked_or_recipe, by_recipe
from mist_bundle.runtime.numerics.triples import Spacing, Triple

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec

PLAN_VERSION = 1
OVERLAP = 0.5
SIGMA_SCALE = 0.125
# left out of plan.json where they are None
OPTIONAL_FIELDS = frozenset(
    {
        *("initial_weights", "frozen_epochs", "frozen_parts", "layer_decay", "layer_rates"),
        *("asked_network_arguments", "loss_arguments", "deep_supervision_weights", "training_ranges", "warnings"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All decisions. Fields that are plain are facts of the dataset; Decision fields carry their reason."""

    task: str
    modality: str
    channel_names: tuple[str, ...]
    labels: tuple[int, ...]
    label_names: tuple[str, ...]
    final_classes: Mapping[str, tuple[int, ...]]
    num_cases: int
    num_folds: int
    skip_preprocessing: bool
    crop_to_foreground: Decision[bool]
    bias_correction: Decision[bool]
    target_spacing_mm: Decision[Spacing]
    median_resampled_shape: Decision[Triple]
    patch_size: Decision[Triple]
    normalization: Decision[str]
    intensity_windows: Decision[tuple[Mapping[str, float], ...]]
    normalize_nonzero: Decision[bool]
    distance_maps: Decision[bool]
    normalize_distance_maps: bool
    distance_maps_in_mm: bool
    ignore_label: int | None
    regions: Decision[bool]
    region_labels: tuple[int, ...]
    region_order: tuple[int, ...]
    class_weights: Decision[tuple[float, ...]]
    recipe: Decision[str]
    network: Decision[str]
    network_arguments: Mapping[str, Any]
    network_branches: Mapping[str, Any]
    patch_divisor: Triple
    residual: Decision[bool]
    deep_supervision_heads: Decision[int]
    vae: Decision[bool]
    loss: Decision[str]
    composite_weighting: Decision[str]
    loss_class_weights: Decision[tuple[float, ...]]
    optimizer: Decision[str]
    learning_rate: Decision[float]
    schedule: Decision[str]
    warmup_fraction: float | None
    warmup_steps: Decision[int]
    weight_decay: Decision[float]
    l1_penalty: Decision[float]
    grad_clip_norm: Decision[float]
    accumulation_steps: Decision[int]
    ema_decay: Decision[float]
    early_stopping: Decision[int]
    precision: Decision[str]
    compile: Decision[bool]
    augmentation: Decision[str]
    epochs: Decision[int]
    steps_per_epoch: Decision[int]
    batch_size: Decision[int]
    val_fraction: Decision[float]
    val_interval: Decision[int]
    overlap: Decision[float]
    sigma_scale: Decision[float]
    flip_axes: Decision[tuple[int, ...]]
    test_time_flip_axes: Decision[tuple[int, ...]]
    seed: int
    asked_network_arguments: Mapping[str, Any] | None = None
    loss_arguments: Mapping[str, Any] | None = None
    deep_supervision_weights: Decision[tuple[float, ...]] | None = None
    training_ranges: Mapping[str, tuple[tuple[float, float], ...]] | None = None
    # what is odd about the data or what the plan does with them: (case or key, sentence)
    warnings: tuple[tuple[str, str], ...] | None = None
    # of a plan that starts from another bundle's weights (planning/finetune.py)
    initial_weights: Decision[str] | None = None
    frozen_epochs: Decision[int] | None = None
    frozen_parts: Decision[tuple[str, ...]] | None = None
    layer_decay: Decision[float] | None = None
    layer_rates: Mapping[str, float] | None = None

    @property
    def num_channels(self) -> int:
        """Input channels of the network."""
        return len(self.channel_names)

    @property
    def num_classes(self) -> int:
        """Classes that exclude each other, background included; voxels to be ignored are none."""
        return len(self.labels)

    @property
    def patches_per_pass(self) -> int:
        """The most patches that a device computes at once in training."""
        return -(-self.batch_size.value // self.accumulation_steps.value)

    @property
    def ignore_index(self) -> int | None:
        """What voxels to be ignored are in the prepared label: the index after the last class."""
        return None if self.ignore_label is None else self.num_classes

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the network's outputs: the labels, background first, or the regions."""
        return tuple(self.final_classes) if self.regions.value else self.label_names

    @property
    def foreground_names(self) -> tuple[str, ...]:
        """Names of the outputs that are scored while training."""
        return self.output_names if self.regions.value else self.output_names[1:]

    @property
    def region_indices(self) -> list[list[int]] | None:
        """Class indices of each region; None where the classes exclude each other."""
        if not self.regions.value:
            return None
        return [[self.labels.index(label) for label in members] for members in self.final_classes.values()]

    def decisions(self) -> Iterator[tuple[str, Decision[Any]]]:
        """Every decision with its name, in the order of the fields."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Decision):
                yield field.name, value

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: facts as they are, decisions as {"value", "because"}."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain = {
            name: value
            for name, value in values.items()
            if not isinstance(value, Decision) and not (value is None and name in OPTIONAL_FIELDS)
        }
        decided = {name: {"value": one.value, "because": one.because} for name, one in self.decisions()}
        content: dict[str, Any] = json.loads(json.dumps({**plain, "decisions": decided}))
        identity = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        return {"plan_version": PLAN_VERSION, "bundle_id": identity, **content}

    @classmethod
    def from_json(cls, content: Any, place: str = "plan.json") -> Plan:
        """The plan that `to_json` wrote; its exact inverse.

        Args:
            content: what is in plan.json.
            place: the file, for messages.

        Raises:
            InputError: it was written by another version, or naming every field that is missing, unknown or of another
                type.
        """
        if not isinstance(content, Mapping) or "plan_version" not in content:
            raise InputError(Problem(place, "is not a plan of mist-bundle: it has no plan_version."))
        version = content["plan_version"]
        if version != PLAN_VERSION or isinstance(version, bool):
            message = f"is {version!r}; this version of mist-bundle reads {PLAN_VERSION}."
            raise InputError(Problem(f"{place}, plan_version", message))
        stored = {name: value for name, value in content.items() if name not in ("plan_version", "bundle_id")}
        return cls(**read_fields(cls, stored, place))


def make_plan(spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions) -> Plan:
    """Decide everything.

    Raises:
        InputError: an option is unknown or out of range, or does not fit the data set.
    """
    check_options(options)
    recipe = RECIPES[options.recipe]
    if options.ignore_label is not None:
        spec = spec.with_ignore_label(options.ignore_label)
    check_data_options(spec, options)
    refuse_nothing_to_learn(fingerprint)
    geometry = decide_geometry(spec, fingerprint, options, recipe)
    objective = decide_objective(spec, fingerprint.class_voxels, options, recipe)
    num_outputs = len(spec.final_classes) if objective["regions"].value else spec.num_classes
    return Plan(
        task=spec.task,
        modality=spec.modality,
        channel_names=spec.channel_names,
        labels=spec.labels,
        label_names=tuple(spec.label_names.get(label, _default_label_name(label)) for label in spec.labels),
        final_classes=spec.final_classes,
        num_cases=len(fingerprint.cases),
        num_folds=options.folds,
        skip_preprocessing=options.skip_preprocessing,
        seed=options.seed,
        training_ranges=training_ranges(fingerprint),
        **objective,
        **geometry,
        **_decide_intensity(spec, fingerprint, options, recipe),
        **_decide_network(spec, options, recipe, geometry, num_outputs),
        **_decide_training(fingerprint, options, recipe, geometry),
        **_decide_inference(options, recipe),
    )


def _decide_intensity(
    spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe
) -> dict[str, Any]:
    fractions = [fraction for case in fingerprint.cases for fraction in case.nonzero_fraction]
    nonzero = rules.decide_nonzero(fractions, recipe.nonzero_ratio)
    windows: Decision[tuple[Mapping[str, float], ...]]
    if options.skip_preprocessing:
        mode = Decision("none", "Preprocessing is skipped, as asked.")
        nonzero = Decision(False, mode.because)
        windows = Decision((), mode.because)
    elif spec.modality == "ct":
        mode = Decision("dataset", "CT: 0.5 and 99.5 percentile, mean and standard deviation of all labelled voxels.")
        nonzero = Decision(False, "CT is normalised over the whole dataset.")
        channels = range(spec.num_channels)
        measured = tuple(
            {name: round(fingerprint.intensity_properties(channel)[name], 6) for name in ("low", "high", "mean", "std")}
            for channel in channels
        )
        windows = Decision(measured, "Measured over the labelled voxels of all cases, per channel.")
    else:
        mode = Decision("per_image", f"{spec.modality.upper()}: each image by its own 0.5 and 99.5 percentile.")
        windows = Decision((), "Nothing is stored: each image is measured when it is preprocessed.")
    bias = Decision(options.bias_correction, ASKED if options.bias_correction else NOT_ASKED)
    return {
        "normalization": mode,
        "intensity_windows": windows,
        "normalize_nonzero": nonzero,
        "bias_correction": bias,
    }


def _decide_network(
    spec: DatasetSpec, options: PlanOptions, recipe: Recipe, geometry: Mapping[str, Any], num_outputs: int
) -> dict[str, Any]:
    row = find_choice(NETWORKS, asked_or_recipe("network", options).value)
    residual = _network_option("residual", options, row)
    wanted = _network_option("deep_supervision_heads", options, row)
    if recipe.options.deep_supervision_heads == 0 and options.deep_supervision_heads is None:
        wanted = Decision(0, by_recipe(options.recipe))
    size = size_network(
        row,
        SizeRequest(
            patch_size=geometry["patch_size"].value,
            spacing_mm=geometry["target_spacing_mm"].value,
            in_channels=spec.num_channels,
            out_channels=num_outputs,
            filters=recipe.filters,
            residual=residual.value,
            kernel_size=options.kernel_size or DEFAULT_KERNEL_SIZE,
            heads=wanted.value,
        ),
    )
    heads = wanted
    if wanted.value > size.max_heads:
        heads = Decision(size.max_heads, f"{wanted.because} {wanted.value} wanted; the network has room for fewer.")
    return {
        "network": asked_or_recipe("network", options),
        "network_arguments": {**size.arguments, **(options.network_arguments or {})},
        "asked_network_arguments": options.network_arguments or None,
        "deep_supervision_weights": decide_head_weights(options.deep_supervision_weights, heads.value),
        "network_branches": _branches(size, heads.value),
        "patch_divisor": (options.patch_divisor or (1, 1, 1)) if row.sizing == "user" else size.divisor,
        "residual": residual,
        "deep_supervision_heads": heads,
        "vae": Decision(bool(options.vae), ASKED if options.vae else NOT_ASKED),
    }


def _network_option(name: str, options: PlanOptions, row: Choice) -> Decision[Any]:
    decided = asked_or_recipe(name, options)
    if decided.because == ASKED:
        return decided
    if name not in row.takes:
        return Decision(type(decided.value)(0), "Not a choice with this network.")
    if name in row.defaults:
        return Decision(row.defaults[name], "The network's own default.")
    return decided


def _branches(size: NetworkSize, heads: int) -> dict[str, Any]:
    """Where heads and the VAE branch are put on the network; no head modules where it has heads of its own."""
    return {
        "head_modules": list(size.head_modules[:heads]),
        "head_channels": list(size.head_channels[:heads]),
        "bottleneck": size.bottleneck,
        "strides": [list(stride) for stride in size.strides],
        "widths": list(size.widths),
    }


def _decide_training(
    fingerprint: Fingerprint, options: PlanOptions, recipe: Recipe, geometry: Mapping[str, Any]
) -> dict[str, Any]:
    batch = asked_or_recipe("batch_size", options)
    if options.batch_size is None and recipe.batch_because:
        batch = Decision(batch.value, f"{batch.because} {recipe.batch_because}")
    val_fraction = asked_or_recipe("val_fraction", options)
    largest_fold = -(-len(fingerprint.cases) // options.folds)
    num_learned_or_watched = len(fingerprint.cases) - largest_fold
    num_training = max(1, round(num_learned_or_watched * (1 - val_fraction.value)))
    steps = rules.decide_steps_per_epoch(num_training, batch.value, recipe.min_steps_per_epoch)
    if options.steps_per_epoch is not None:
        steps = Decision(options.steps_per_epoch, ASKED)
    epochs = asked_or_recipe("epochs", options)
    return {
        "recipe": Decision(options.recipe, recipe.about),
        **decide_optimisation(options, recipe, epochs.value * steps.value),
        "epochs": epochs,
        "steps_per_epoch": steps,
        "batch_size": batch,
        "val_fraction": val_fraction,
        "val_interval": rules.decide_val_interval(
            Decision(recipe.val_interval, by_recipe(options.recipe)),
            windows=(num_learned_or_watched - num_training)
            * rules.sliding_windows(geometry["median_resampled_shape"].value, geometry["patch_size"].value, OVERLAP),
            patches=steps.value * batch.value,
            epochs=epochs.value,
        ),
    }


def _decide_inference(options: PlanOptions, recipe: Recipe) -> dict[str, Any]:
    flips = asked_or_recipe("flip_axes", options)
    axes = tuple(sorted(set(flips.value)))
    flips = Decision(axes, flips.because)
    augmentation = asked_or_recipe("augmentation", options).value
    if not AUGMENTATIONS[augmentation].kwargs.get("enabled", True):
        tta, reason = (), "Training shows nothing mirrored."
    elif recipe.test_time_flips:
        tta, reason = axes, "The axes flipped in training."
    else:
        tta, reason = (), f"Recipe {options.recipe!r} saves the time."
    return {
        "overlap": Decision(OVERLAP, "MIST 2.3: sliding windows overlap by half."),
        "sigma_scale": Decision(SIGMA_SCALE, "MIST 2.3: Gaussian blending with sigma 0.125 of the patch."),
        "flip_axes": flips,
        "test_time_flip_axes": Decision(tta, reason),
    }


def _default_label_name(label: int) -> str:
    return "background" if label == 0 else f"label_{label}"
