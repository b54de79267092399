"""The Plan: every number that the bundle needs, each with the reason for it.

`make_plan` takes the dataset (DatasetSpec), the measurements (Fingerprint) and the user's options (PlanOptions), and
decides everything else. Pure: no files, no torch. The bundle generator turns a Plan into JSON, and nothing else does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from mist_bundle.catalog.augmentations import AUGMENTATIONS
from mist_bundle.dataset.names import default_label_name
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning import rules
from mist_bundle.planning.checks import check_data_options, check_options
from mist_bundle.planning.data_checks import refuse_nothing_to_learn, refuse_partly_annotated
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.flips import decide_flips, measured_sides
from mist_bundle.planning.geometry import decide_batch_size, decide_geometry
from mist_bundle.planning.intensity import decide_intensity
from mist_bundle.planning.memory import DEFAULT_GB, fit_to_memory
from mist_bundle.planning.networks import decide_network
from mist_bundle.planning.objective import decide_objective
from mist_bundle.planning.optimisation import decide_optimisation
from mist_bundle.planning.options import PlanOptions
from mist_bundle.planning.plan_json import read_fields
from mist_bundle.planning.ranges import training_ranges
from mist_bundle.planning.recipes import CHOSEN, OVERLAP, RECIPES, Recipe, by_recipe, resolve_option
from mist_bundle.runtime.numerics.triples import Spacing, Triple

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint
    from mist_bundle.dataset.spec import DatasetSpec

PLAN_VERSION = 1
SIGMA_SCALE = 0.125
# omitted from plan.json if they are None
OPTIONAL_FIELDS = frozenset(
    {
        *("initial_weights", "frozen_epochs", "frozen_parts", "layer_decay", "layer_rates"),
        *("unlabelled", "optional_channels"),
        *("asked_network_arguments", "loss_arguments", "deep_supervision_weights", "training_ranges", "warnings"),
        *("preprocessing", "inference", "origin", "sides"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All decisions. Plain fields are facts of the dataset; Decision fields carry their reason."""

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
    patch_sampling: Decision[str] | None = None
    training_ranges: Mapping[str, tuple[tuple[float, float], ...]] | None = None
    # channels, by their number from 0, that a case may lack in a prediction and that training drops at random
    optional_channels: tuple[int, ...] | None = None
    # the sets of labels that were not annotated in some cases, each set once
    unlabelled: tuple[tuple[int, ...], ...] | None = None
    # classes that differ by their side only -> cases in which they lie as named or contrary, and a sentence
    sides: Mapping[str, Any] | None = None
    # warnings about the data or what the plan does with them: (case or key, sentence)
    warnings: tuple[tuple[str, str], ...] | None = None
    # of a model that another program trained (planning/imported.py): its own transforms and inference, its origin
    preprocessing: Mapping[str, Any] | None = None
    inference: Mapping[str, Any] | None = None
    origin: Mapping[str, Any] | None = None
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
    def optional_names(self) -> tuple[str, ...]:
        """Names of the channels that a case may lack in a prediction."""
        return tuple(self.channel_names[channel] for channel in self.optional_channels or ())

    @property
    def num_classes(self) -> int:
        """Number of labels, background included; ignored voxels belong to none."""
        return len(self.labels)

    @property
    def patches_per_pass(self) -> int:
        """Largest number of patches that a device computes at once in training."""
        return ceil(self.batch_size.value / self.accumulation_steps.value)

    @property
    def ignore_index(self) -> int | None:
        """Index of ignored voxels in the prepared label: the index after the last class."""
        return None if self.ignore_label is None else self.num_classes

    @property
    def mixed_indices(self) -> dict[str, int]:
        """Labels that were not annotated in some cases, as text -> index of the voxels there that may have any of them.

        These indices follow those of the classes and of ignored voxels.
        """
        first = self.num_classes + (self.ignore_label is not None)
        indices = {}
        for number, labels in enumerate(self.unlabelled or ()):
            indices[",".join(map(str, labels))] = first + number
        return indices

    @property
    def mixed_classes(self) -> dict[str, list[int]]:
        """Each of `mixed_indices` as text -> the indices of the classes that its voxels may have, 0 first."""
        classes = {}
        for labels, index in zip(self.unlabelled or (), self.mixed_indices.values(), strict=True):
            classes[str(index)] = [0, *map(self.labels.index, labels)]
        return classes

    @property
    def first_unknown_index(self) -> int | None:
        """Voxels with this or a higher index in the prepared label are of no known class; None if all are known."""
        return self.num_classes if self.ignore_label is not None or self.unlabelled else None

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
        """Class indices of each region; None if the classes exclude each other."""
        if not self.regions.value:
            return None
        indices = []
        for members in self.final_classes.values():
            indices.append([self.labels.index(label) for label in members])
        return indices

    def decisions(self) -> Iterator[tuple[str, Decision[Any]]]:
        """Iterate over the decisions with their names, in the order of the fields."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Decision):
                yield field.name, value

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: facts as they are, decisions as {"value", "because"}."""
        facts: dict[str, Any] = {}
        decisions: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Decision):
                decisions[field.name] = {"value": value.value, "because": value.because}
            elif value is not None or field.name not in OPTIONAL_FIELDS:
                facts[field.name] = value
        content: dict[str, Any] = json.loads(json.dumps({**facts, "decisions": decisions}))
        identity = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        return {"plan_version": PLAN_VERSION, "bundle_id": identity, **content}

    @classmethod
    def from_json(cls, content: Any, place: str = "plan.json") -> Plan:
        """Read a plan that `to_json` wrote; its exact inverse.

        Args:
            content: content of plan.json.
            place: the file, for messages.

        Raises:
            InputError: another version wrote it, or fields are missing, unknown or of another type; names all of them.
        """
        if not isinstance(content, Mapping) or "plan_version" not in content:
            raise InputError(Problem(place, "is not a plan of mist-bundle: it has no plan_version."))
        version = content["plan_version"]
        if version != PLAN_VERSION or isinstance(version, bool):
            message = f"is {version!r}; this version of mist-bundle reads {PLAN_VERSION}."
            raise InputError(Problem(f"{place}, plan_version", message))
        stored = dict(content)
        del stored["plan_version"]
        stored.pop("bundle_id", None)
        return cls(**read_fields(cls, stored, place))


def make_plan(spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions) -> Plan:
    """Decide everything.

    Args:
        spec: dataset description.
        fingerprint: measurements over the training cases.
        options: the user's options; the recipe decides what they leave open.

    Raises:
        InputError: an option is unknown or out of range, or does not fit the dataset.
    """
    check_options(options)
    recipe = RECIPES[options.recipe]
    if options.ignore_label is not None:
        spec = spec.with_ignore_label(options.ignore_label)
    check_data_options(spec, options)
    refuse_nothing_to_learn(fingerprint)
    refuse_partly_annotated(fingerprint, resolve_option("loss", options).value)
    geometry = decide_geometry(spec, fingerprint, options, recipe)
    batch = decide_batch_size(spec, fingerprint, options, recipe, geometry)
    objective = decide_objective(spec, fingerprint.class_voxels, options, recipe)
    num_outputs = len(spec.final_classes) if objective["regions"].value else spec.num_classes
    plan = Plan(
        task=spec.task,
        modality=spec.modality,
        channel_names=spec.channel_names,
        labels=spec.labels,
        label_names=tuple(spec.label_names.get(label, default_label_name(label)) for label in spec.labels),
        final_classes=spec.final_classes,
        num_cases=len(fingerprint.cases),
        num_folds=options.folds,
        skip_preprocessing=options.skip_preprocessing,
        seed=options.seed,
        training_ranges=training_ranges(fingerprint),
        unlabelled=_unlabelled(fingerprint),
        optional_channels=tuple(map(spec.channel_names.index, spec.optional_images)) or None,
        **objective,
        **geometry,
        **decide_intensity(spec, fingerprint, options, recipe),
        **decide_network(spec, options, recipe, geometry, num_outputs),
        **_decide_training(fingerprint, options, recipe, geometry, batch),
        **_decide_inference(spec, options, recipe),
        sides=measured_sides(spec, fingerprint),
    )
    return _fitted(plan, spec, fingerprint, options)


def _unlabelled(fingerprint: Fingerprint) -> tuple[tuple[int, ...], ...] | None:
    found = {case.unlabelled for case in fingerprint.cases if case.unlabelled}
    return tuple(sorted(found)) or None


def _fitted(plan: Plan, spec: DatasetSpec, fingerprint: Fingerprint, options: PlanOptions) -> Plan:
    """The plan itself if a step fits into the memory, otherwise the plan with more passes or a smaller patch."""
    recipe = RECIPES[options.recipe]

    def resized(patch: Decision[Triple]) -> Plan:
        geometry = {
            "target_spacing_mm": plan.target_spacing_mm,
            "median_resampled_shape": plan.median_resampled_shape,
            "patch_size": patch,
        }
        network = decide_network(spec, options, recipe, geometry, len(plan.output_names))
        training = _decide_training(fingerprint, options, recipe, geometry, plan.batch_size)
        return dataclasses.replace(plan, patch_size=patch, **network, **training)

    fitted = fit_to_memory(plan, options.memory or DEFAULT_GB, resized)
    if fitted is None:
        return plan
    return dataclasses.replace(resized(fitted.patch_size), accumulation_steps=fitted.accumulation_steps)


def _decide_training(
    fingerprint: Fingerprint,
    options: PlanOptions,
    recipe: Recipe,
    geometry: Mapping[str, Any],
    batch: Decision[int],
) -> dict[str, Any]:
    val_fraction = resolve_option("val_fraction", options)
    largest_fold = ceil(len(fingerprint.cases) / options.folds)
    num_available = len(fingerprint.cases) - largest_fold  # for training and inner validation together
    num_training = max(1, round(num_available * (1 - val_fraction.value)))
    steps = rules.decide_steps_per_epoch(num_training, batch.value, recipe.min_steps_per_epoch)
    if options.steps_per_epoch is not None:
        steps = Decision(options.steps_per_epoch, CHOSEN)
    epochs = resolve_option("epochs", options)
    median, patch = geometry["median_resampled_shape"].value, geometry["patch_size"].value
    val_interval = rules.decide_val_interval(
        Decision(recipe.val_interval, by_recipe(options.recipe)),
        windows=(num_available - num_training) * rules.sliding_windows(median, patch, recipe.overlap),
        patches=steps.value * batch.value,
        epochs=epochs.value,
    )
    return {
        "recipe": Decision(options.recipe, recipe.about),
        **decide_optimisation(options, recipe, epochs.value * steps.value),
        "epochs": epochs,
        "steps_per_epoch": steps,
        "batch_size": batch,
        "val_fraction": val_fraction,
        "val_interval": val_interval,
    }


def _decide_overlap(options: PlanOptions, recipe: Recipe) -> Decision[float]:
    if recipe.overlap == OVERLAP:
        return Decision(recipe.overlap, "MIST 2.3: sliding windows overlap by half.")
    return Decision(recipe.overlap, f"Recipe {options.recipe!r} saves windows; half, as in MIST 2.3, takes longer.")


def _decide_inference(spec: DatasetSpec, options: PlanOptions, recipe: Recipe) -> dict[str, Any]:
    flips = decide_flips(spec, options)
    axes = flips.value
    augmentation = AUGMENTATIONS[resolve_option("augmentation", options).value]
    test_time_flips: Decision[tuple[int, ...]]
    if not augmentation.kwargs.get("enabled", True):
        test_time_flips = Decision((), "Training shows nothing mirrored.")
    elif recipe.test_time_flips:
        test_time_flips = Decision(axes, "The axes flipped in training.")
    else:
        test_time_flips = Decision((), f"Recipe {options.recipe!r} saves the time.")
    return {
        "overlap": _decide_overlap(options, recipe),
        "sigma_scale": Decision(SIGMA_SCALE, "MIST 2.3: Gaussian blending with sigma 0.125 of the patch."),
        "flip_axes": flips,
        "test_time_flip_axes": test_time_flips,
    }
