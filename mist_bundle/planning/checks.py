"""Checks of the user's options, in the order in which their mistakes can be known.

`check_options` looks at the options alone, `check_data_options` at the options and the dataset description. Both come
before any image is read, and each reports all problems at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mist_bundle.catalog.choice import find_choice
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.networks import head_weights_problem
from mist_bundle.planning.objective import Members, crossing, decide_regions
from mist_bundle.planning.options import OPTIONS, PlanOptions
from mist_bundle.planning.recipes import RECIPES, resolve_option
from mist_bundle.runtime.wording import did_you_mean, join_with_and

if TYPE_CHECKING:
    from mist_bundle.dataset.spec import DatasetSpec

# arguments of a network or a loss that follow from the data or belong to another option
_SETTLED_FOR_NETWORKS = {
    "in_channels": "the data",
    "out_channels": "the data",
    "deep_supervision": "--deep_supervision_heads",
}
_SETTLED_FOR_LOSSES = {
    "regions": "--regions",
    "ignore_index": "--ignore_label",
    "mixed": "annotated_labels",
    "class_weights": "--class_weights",
    "spacing_mm": "the data",
}
_TAKEN_BY_USER_NETWORKS = frozenset({"patch_divisor"})
# options without effect if the files are read as they are
_OF_PREPROCESSING = ("bias_correction", "target_spacing")


def check_options(options: PlanOptions) -> None:
    """Raise InputError naming every option that cannot be met."""
    problems = list(value_problems(options))
    if not {"--network", "--loss", "--recipe"} & {problem.path for problem in problems}:
        problems += network_problems(options)
        problems += loss_problems(options)
    problems += argument_problems("--network_arguments", options.network_arguments, _SETTLED_FOR_NETWORKS)
    problems += argument_problems("--loss_arguments", options.loss_arguments, _SETTLED_FOR_LOSSES)
    if not problems:
        problems += contradictions(options)
    if problems:
        raise InputError(problems)


def check_data_options(spec: DatasetSpec, options: PlanOptions) -> None:
    """Raise InputError naming every option that does not fit the dataset, as far as its description shows.

    An unknown recipe is reported by `check_options`; this function then checks what does not depend on it.
    """
    problems: list[Problem] = []
    if options.bias_correction and spec.modality != "mr":
        message = f"corrects the bias field of MR images; the dataset's modality is {spec.modality!r}. Leave it out."
        problems.append(Problem("--bias_correction", message))
    by_recipe = RECIPES[options.recipe].options.regions if options.recipe in RECIPES else None
    regions = decide_regions(spec.final_classes, spec.labels, options.regions, by_recipe).value
    if regions:
        problems += _crossing_problems(spec.final_classes)
    if options.region_labels is not None:
        problems += region_label_problems(options.region_labels, spec.final_classes, regions=regions)
    outputs = list(spec.final_classes) if regions else [f"label {label}" for label in spec.labels]
    weights = options.class_weights
    if weights is not None and not isinstance(weights, str) and len(weights) != len(outputs):
        message = f"holds {len(weights)} numbers, but the network has {len(outputs)} outputs: {', '.join(outputs)}."
        problems.append(Problem("--class_weights", message))
    if problems:
        raise InputError(problems)


def value_problems(options: PlanOptions) -> Iterator[Problem]:
    """Report values that are not of their option's kind; options left to the recipe (None) are skipped."""
    if options.recipe not in RECIPES:
        message = f"there is no recipe called {options.recipe!r}. {did_you_mean(str(options.recipe), RECIPES)}"
        yield Problem("--recipe", message)
    for name, option in OPTIONS.items():
        value = getattr(options, name)
        if value is None:
            continue
        sentence = option.kind.problem(value)
        if sentence is not None:
            yield Problem(f"--{name}", sentence)


def network_problems(options: PlanOptions) -> Iterator[Problem]:
    """Report options that the network does not know."""
    network = resolve_option("network", options).value
    known = NETWORKS[network].takes if network in NETWORKS else _TAKEN_BY_USER_NETWORKS
    for name, option in OPTIONS.items():
        if not option.of_network or getattr(options, name) is None:
            continue
        requirement = "deep_supervision_heads" if name == "deep_supervision_weights" else name
        if requirement not in known:
            able = [other for other, row in NETWORKS.items() if requirement in row.takes]
            names = ", ".join(able) or "your own networks"
            yield Problem(f"--{name}", f"does not apply to the network {network}. It applies to: {names}.")
    weights, heads = options.deep_supervision_weights, options.deep_supervision_heads
    if weights is not None and heads is not None and len(weights) != heads + 1:
        yield Problem("--deep_supervision_weights", head_weights_problem(len(weights), heads))


def loss_problems(options: PlanOptions) -> Iterator[Problem]:
    """Report options that have no effect on the loss."""
    name = resolve_option("loss", options).value
    row = find_choice(LOSSES, name)
    if options.composite_weighting is not None and not row.base:
        composites = ", ".join(other for other, choice in LOSSES.items() if choice.base)
        message = (
            f"weighs the two terms of a composite loss, and {name} has a single term. Composite losses: {composites}."
        )
        yield Problem("--composite_weighting", message)
    if "distance_maps" in row.needs or options.distance_maps:
        return
    users = ", ".join(other for other, choice in LOSSES.items() if "distance_maps" in choice.needs)
    for option in ("normalize_distance_maps", "distance_maps_in_mm"):
        if getattr(options, option) != OPTIONS[option].default:
            message = f"has no effect with the loss {name}, which uses no distance maps. Those that do: {users}."
            yield Problem(f"--{option}", message)


def argument_problems(
    option: str, arguments: Mapping[str, Any] | None, settled: Mapping[str, str]
) -> Iterator[Problem]:
    """Report further arguments of a network or a loss whose names are invalid or cannot be set.

    Wrong values show when the network or the loss is built.

    Args:
        option: "--network_arguments", for example.
        arguments: names and values.
        settled: argument that cannot be chosen here -> what it follows from.
    """
    if not isinstance(arguments, Mapping):
        return
    for name in arguments:
        if not str(name).isidentifier() or name.startswith("_"):
            yield Problem(option, f"holds {name!r}; expected names of arguments.")
        elif name in settled:
            yield Problem(option, f"holds {name!r}, which follows from {settled[name]}; leave it out.")


def contradictions(options: PlanOptions) -> Iterator[Problem]:
    """Report options that another option leaves without effect."""
    if options.early_stopping and resolve_option("val_fraction", options).value == 0:
        message = (
            "needs an inner validation split to watch, but --val_fraction is 0. Raise it, or leave early stopping out."
        )
        yield Problem("--early_stopping", message)
    passes = options.accumulation_steps
    batch = resolve_option("batch_size", options).value
    if passes is not None and passes > batch:
        message = (
            f"is {passes} passes for a batch of {batch} patches. --batch_size counts all patches of an optimizer step, "
            f"whatever the number of passes and processes; perhaps you want --batch_size {passes * batch}."
        )
        yield Problem("--accumulation_steps", message)
    for name in _OF_PREPROCESSING:
        if options.skip_preprocessing and getattr(options, name):
            message = "has no effect with --skip_preprocessing, which reads the files as they are. Leave either out."
            yield Problem(f"--{name}", message)
    patch, limit = options.patch_size, options.max_patch_size
    if patch is not None and limit is not None and _exceeds(patch, limit):
        yield Problem("--patch_size", f"is {list(patch)}, larger than --max_patch_size {list(limit)}.")
    if options.regions is False and options.region_labels is not None:
        yield Problem("--region_labels", "contradicts --noregions: without regions the labels themselves are written.")


def _exceeds(patch_size: Sequence[int], max_patch_size: Sequence[int]) -> bool:
    return any(size > limit for size, limit in zip(patch_size, max_patch_size, strict=True))


def region_label_problems(region_labels: Sequence[int], members: Members, *, regions: bool) -> list[Problem]:
    """Check the labels that the user wants regions to write.

    Args:
        region_labels: a label for each region.
        members: labels of each region.
        regions: whether regions are trained at all.
    """
    option = "--region_labels"
    if not regions:
        return [Problem(option, "needs --regions: classes that exclude each other write their own labels.")]
    if len(region_labels) != len(members):
        return [Problem(option, f"holds {len(region_labels)} labels for {len(members)} regions {list(members)}.")]
    problems: list[Problem] = []
    writers: dict[int, list[str]] = {}
    for label, (name, labels) in zip(region_labels, members.items(), strict=True):
        writers.setdefault(label, []).append(name)
        if label not in labels:
            problems.append(Problem(option, f"writes {label} for {name}, which consists of {list(labels)}."))
    for label, names in writers.items():
        if len(names) > 1:
            message = f"writes {label} for {join_with_and(names)}; a label map could not tell them apart."
            problems.append(Problem(option, message))
    return problems


def _crossing_problems(members: Members) -> Iterator[Problem]:
    for (name, labels), (other, other_labels) in crossing(members):
        message = (
            f"needs outputs that nest, but {name} {list(labels)} and {other} {list(other_labels)} overlap and neither "
            "contains the other: no label map can hold both. Nest them, separate them, or leave --regions out."
        )
        yield Problem("--regions", message)
