"""Everything that can be wrong with what was asked for, in the order in which it can be known.

`check_options` looks at the options alone, `check_data_options` at the options beside the data set's description; both
come before any image is read. Each names all problems at once.
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
from mist_bundle.planning.recipes import RECIPES, asked_or_recipe
from mist_bundle.runtime.values import did_you_mean

if TYPE_CHECKING:
    from mist_bundle.dataset.spec import DatasetSpec

# arguments of a network or a loss that follow from the data or belong to another option
_NETWORK_SETTLED = {
    "in_channels": "the data",
    "out_channels": "the data",
    "deep_supervision": "--deep_supervision_heads",
}
_LOSS_SETTLED = {
    "regions": "--regions",
    "ignore_index": "--ignore_label",
    "class_weights": "--class_weights",
    "spacing_mm": "the data",
}
_USERS_NETWORK_TAKES = frozenset({"patch_divisor"})
# options without effect where the files are read as they are
_OF_PREPROCESSING = ("bias_correction", "target_spacing")


def check_options(options: PlanOptions) -> None:
    """Raise InputError naming every option that cannot be met."""
    problems = [*value_problems(options)]
    if not any(problem.path in ("--network", "--loss", "--recipe") for problem in problems):
        problems += network_problems(options)
        problems += loss_problems(options)
    problems += argument_problems("--network_arguments", options.network_arguments, _NETWORK_SETTLED)
    problems += argument_problems("--loss_arguments", options.loss_arguments, _LOSS_SETTLED)
    if not problems:
        problems += contradictions(options)
    if problems:
        raise InputError(problems)


def check_data_options(spec: DatasetSpec, options: PlanOptions) -> None:
    """Raise InputError naming every option that does not fit the data set, as far as its description tells.

    An unknown recipe is the other check's to report; this one then looks at what does not depend on it.
    """
    problems: list[Problem] = []
    if options.bias_correction and spec.modality != "mr":
        message = f"corrects the bias field of MR images; the data set's modality is {spec.modality!r}. Leave it out."
        problems.append(Problem("--bias_correction", message))
    of_recipe = RECIPES[options.recipe].options.regions if options.recipe in RECIPES else None
    regions = decide_regions(spec.final_classes, spec.labels, options.regions, of_recipe).value
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
    """A Problem for each value that is not of its option's kind; those left to the recipe (None) are passed over."""
    if options.recipe not in RECIPES:
        message = f"there is no recipe called {options.recipe!r}. {did_you_mean(str(options.recipe), RECIPES)}"
        yield Problem("--recipe", message)
    for name, option in OPTIONS.items():
        value = getattr(options, name)
        sentence = None if value is None else option.kind.problem(value)
        if sentence is not None:
            yield Problem(f"--{name}", sentence)


def network_problems(options: PlanOptions) -> Iterator[Problem]:
    """A Problem for each option that means nothing to the network."""
    network = asked_or_recipe("network", options).value
    takes = NETWORKS[network].takes if network in NETWORKS else _USERS_NETWORK_TAKES
    asked = [name for name, option in OPTIONS.items() if option.of_network and getattr(options, name) is not None]
    for name in asked:
        taken_as = "deep_supervision_heads" if name == "deep_supervision_weights" else name
        if taken_as not in takes:
            able = ", ".join(other for other, row in NETWORKS.items() if taken_as in row.takes) or "your own networks"
            yield Problem(f"--{name}", f"means nothing to the network {network}. It does to: {able}.")
    weights, heads = options.deep_supervision_weights, options.deep_supervision_heads
    if weights is not None and heads is not None and len(weights) != heads + 1:
        yield Problem("--deep_supervision_weights", head_weights_problem(len(weights), heads))


def loss_problems(options: PlanOptions) -> Iterator[Problem]:
    """A Problem for each option that means nothing to the loss."""
    name = asked_or_recipe("loss", options).value
    row = find_choice(LOSSES, name)
    if options.composite_weighting is not None and not row.base:
        composites = ", ".join(other for other, its in LOSSES.items() if its.base)
        message = f"weighs the two terms of a composite loss, and {name} has one term. Composite are {composites}."
        yield Problem("--composite_weighting", message)
    if "distance_maps" in row.needs or options.distance_maps:
        return
    users = ", ".join(other for other, its in LOSSES.items() if "distance_maps" in its.needs)
    for option in ("normalize_distance_maps", "distance_maps_in_mm"):
        if getattr(options, option) != OPTIONS[option].default:
            message = f"has no effect with the loss {name}, which uses no distance maps. Those that do: {users}."
            yield Problem(f"--{option}", message)


def argument_problems(option: str, given: Mapping[str, Any] | None, settled: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with further arguments of a network or a loss, as far as their names tell.

    The rest shows when the network or the loss is built.

    Args:
        option: "--network_arguments", say.
        given: names and values.
        settled: name of an argument that cannot be chosen here -> what it follows from.
    """
    for name in given if isinstance(given, Mapping) else {}:
        if not str(name).isidentifier() or name.startswith("_"):
            yield Problem(option, f"holds {name!r}; expected names of arguments.")
        elif name in settled:
            yield Problem(option, f"holds {name!r}, which follows from {settled[name]}; leave it out.")


def contradictions(options: PlanOptions) -> Iterator[Problem]:
    """A Problem for each option that another one leaves without effect."""
    if options.early_stopping and asked_or_recipe("val_fraction", options).value == 0:
        message = (
            "needs an inner validation split to watch, but --val_fraction is 0. Raise it, or leave early stopping out."
        )
        yield Problem("--early_stopping", message)
    passes, batch = options.accumulation_steps, asked_or_recipe("batch_size", options).value
    if passes is not None and passes > batch:
        message = (
            f"is {passes} passes for a batch of {batch} patches. --batch_size counts all patches of an optimizer step, "
            f"whatever the number of passes and processes; perhaps you want --batch_size {passes * batch}."
        )
        yield Problem("--accumulation_steps", message)
    for name in _OF_PREPROCESSING:
        if options.skip_preprocessing and getattr(options, name):
            message = (
                "has no effect with --skip_preprocessing, which reads the files as they are. Leave one of them out."
            )
            yield Problem(f"--{name}", message)
    if options.patch_size is not None and options.max_patch_size is not None:
        axes = zip(options.patch_size, options.max_patch_size, strict=True)
        if any(size > limit for size, limit in axes):
            message = f"is {list(options.patch_size)}, larger than --max_patch_size {list(options.max_patch_size)}."
            yield Problem("--patch_size", message)
    if options.regions is False and options.region_labels is not None:
        yield Problem("--region_labels", "contradicts --noregions: without regions the labels themselves are written.")


def region_label_problems(given: Sequence[int], members: Members, *, regions: bool) -> list[Problem]:
    """What is wrong with the labels that regions are to write.

    Args:
        given: a label for each region.
        members: labels that each region is made of.
        regions: whether regions are trained at all.
    """
    if not regions:
        return [Problem("--region_labels", "needs --regions: classes that exclude each other write their own labels.")]
    if len(given) != len(members):
        return [Problem("--region_labels", f"holds {len(given)} labels for {len(members)} regions {list(members)}.")]
    problems = [
        Problem("--region_labels", f"writes {label} for {name}, which is made of {list(labels)}.")
        for label, (name, labels) in zip(given, members.items(), strict=True)
        if label not in labels
    ]
    writers: dict[int, list[str]] = {}
    for label, name in zip(given, members, strict=True):
        writers.setdefault(label, []).append(name)
    for label, names in writers.items():
        if len(names) > 1:
            message = f"writes {label} for {' and '.join(names)}; a label map could not tell them apart."
            problems.append(Problem("--region_labels", message))
    return problems


def _crossing_problems(members: Members) -> Iterator[Problem]:
    for (one, first), (other, second) in crossing(members):
        message = (
            f"asks for overlapping outputs, but neither of {one} {list(first)} and {other} {list(second)} contains the "
            "other: no label map can hold both. Nest them, part them, or leave --regions out."
        )
        yield Problem("--regions", message)
