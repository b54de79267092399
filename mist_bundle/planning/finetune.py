"""What a new plan keeps of the bundle that it starts from, so that the source's weights fit and still mean something.

It receives the plan that the rules make for the new data and a description of the source; it returns the plan with the
source's network and, unless asked to plan anew, its spacing, patch and normalisation. Pure: no files, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.options import TRANSFER_OPTIONS, PlanOptions, TransferOptions
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.recipes import ASKED, RECIPES
from mist_bundle.runtime.numerics.triples import Spacing, Triple, triple

# Arguments of MONAI's networks that say how many image channels go in and how many classes come out
INPUT_ARGUMENTS = ("in_channels",)
OUTPUT_ARGUMENTS = ("out_channels", "num_classes")
RATE_SHARE = 20  # of the recipe's learning rate, what did best where it was measured (docs/finetune.md)
UNKNOWN_DIVISOR = 32  # what five halvings ask for; no network of MONAI asks for more

NO_BRANCHES: Mapping[str, Any] = {
    "head_modules": [],
    "head_channels": [],
    "bottleneck": "",
    "strides": [],
    "widths": [],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceModel:
    """A bundle that weights are taken from, as far as planning needs to know it.

    Attributes:
        name: of the bundle, for people.
        target: dotted path of its network.
        arguments: of the network.
        channel_names: of its image channels, in order.
        class_names: of its outputs, in order.
        network: name in the catalogue, or "" for a network of a stock bundle.
        plan: the source's own plan where mist-bundle made it.
        spacing_mm: of its prepared images, where the source says it.
        patch_size: of its network, where the source says it.
    """

    name: str
    target: str
    arguments: Mapping[str, Any]
    channel_names: tuple[str, ...]
    class_names: tuple[str, ...]
    network: str = ""
    plan: Plan | None
    spacing_mm: Spacing | None = None
    patch_size: Triple | None = None


def check_transfer_options(options: TransferOptions) -> None:
    """Raise InputError naming every option that cannot be met."""
    problems = [
        Problem(f"--{name}", sentence)
        for name, option in TRANSFER_OPTIONS.items()
        if (value := getattr(options, name)) is not None and (sentence := option.kind.problem(value)) is not None
    ]
    if options.unfreeze_epoch is not None and options.freeze == "none":
        problems.append(Problem("--unfreeze_epoch", "needs something frozen: pass --freeze encoder too."))
    if problems:
        raise InputError(problems)


def adapt_plan(plan: Plan, source: SourceModel, options: TransferOptions, asked: frozenset[str] = frozenset()) -> Plan:
    """The plan of a bundle that starts from `source`.

    Args:
        plan: what the rules decide for the new data.
        source: where the weights come from.
        options: what was asked for.
        asked: names of plan options that the user gave explicitly; these win over the source.
    """
    target_spacing = _spacing(plan, source, options, asked)
    changed: dict[str, Any] = {
        "network": Decision(source.network or source.target, f"Of {source.name}: its weights fit."),
        "network_arguments": fitted_arguments(source.arguments, plan.num_channels, len(plan.output_names)),
        "network_branches": NO_BRANCHES if source.plan is None else source.plan.network_branches,
        "patch_divisor": patch_divisor(source),
        "residual": Decision(source.plan is not None and source.plan.residual.value, f"Of {source.name}'s network."),
        "vae": Decision(False, "Not carried over: the branch is in training only."),
        "deep_supervision_heads": _heads(source),
        "target_spacing_mm": target_spacing,
        "patch_size": _patch(plan, source, options, asked),
        **_intensity(plan, source),
        **_training(plan, source, options),
    }
    return replace(plan, **changed)


def fitted_arguments(arguments: Mapping[str, Any], num_channels: int, num_classes: int) -> dict[str, Any]:
    """Arguments of a network for other numbers of input channels and classes."""
    fitted = dict(arguments)
    fitted.update({name: num_channels for name in INPUT_ARGUMENTS if name in arguments})
    fitted.update({name: num_classes for name in OUTPUT_ARGUMENTS if name in arguments})
    return fitted


def patch_divisor(source: SourceModel) -> Triple:
    """What each patch axis must be a multiple of: as the source's plan says, or as its network's arguments tell."""
    arguments = source.arguments
    if source.plan is not None:
        return source.plan.patch_divisor
    if "strides" in arguments:
        levels = [stride if isinstance(stride, Sequence) else [stride] * 3 for stride in arguments["strides"]]
        return triple(prod(int(level[axis]) for level in levels) for axis in range(3))
    if "blocks_down" in arguments:
        return triple([2 ** (len(arguments["blocks_down"]) - 1)] * 3)
    return (UNKNOWN_DIVISOR, UNKNOWN_DIVISOR, UNKNOWN_DIVISOR)


def same_name(one: str, other: str) -> bool:
    """Whether two names of channels or classes mean the same: case, spaces and punctuation do not count."""
    return _plain(one) == _plain(other)


def source_options(
    options: PlanOptions, source: SourceModel, transfer: TransferOptions, asked: frozenset[str]
) -> PlanOptions:
    """The options that the rules are to plan with: the source's recipe and, where it is kept, its spacing."""
    if "recipe" not in asked:
        options = replace(options, recipe=default_recipe(source))
    if source.spacing_mm is not None and not transfer.replan and "target_spacing" not in asked:
        options = replace(options, target_spacing=source.spacing_mm)
    return options


def default_recipe(source: SourceModel) -> str:
    """The recipe that the source was planned with, where this version knows it."""
    recipe = "" if source.plan is None else source.plan.recipe.value
    return recipe if recipe in RECIPES else "paper"


def _spacing(plan: Plan, source: SourceModel, options: TransferOptions, asked: frozenset[str]) -> Decision[Spacing]:
    own = plan.target_spacing_mm
    if "target_spacing" in asked or source.spacing_mm is None:
        missing = "" if source.spacing_mm is not None else f" {source.name} does not say its own."
        return Decision(own.value, own.because + missing)
    if options.replan:
        return Decision(
            own.value, f"{own.because} Planned anew, as asked; {source.name} had {_text(source.spacing_mm)}."
        )
    rule = own.because.partition("; ")[2]
    return Decision(source.spacing_mm, f"Kept from {source.name}, whose weights know structures at this scale; {rule}")


def _patch(plan: Plan, source: SourceModel, options: TransferOptions, asked: frozenset[str]) -> Decision[Triple]:
    own = plan.patch_size
    keep = source.patch_size is not None and not options.replan and not {"patch_size", "max_patch_size"} & asked
    if keep and source.patch_size is not None:
        because = f"Kept from {source.name}; the rule gives {_text(own.value)}."
        wanted = Decision(source.patch_size, because)
    else:
        had = "does not say its own" if source.patch_size is None else f"had {_text(source.patch_size)}"
        wanted = Decision(own.value, f"{own.because} Planned anew; {source.name} {had}.")
    divisor = patch_divisor(source)
    fitted = triple(ceil(size / part) * part for size, part in zip(wanted.value, divisor, strict=True))
    if fitted == tuple(wanted.value):
        return wanted
    return Decision(fitted, f"{wanted.because} Raised to multiples of {_text(divisor)}, as the source's network asks.")


def _heads(source: SourceModel) -> Decision[int]:
    if source.plan is not None:
        return Decision(source.plan.deep_supervision_heads.value, f"Of {source.name}'s network.")
    arguments = source.arguments
    heads = int(arguments.get("deep_supr_num", 1)) if arguments.get("deep_supervision") else 0
    return Decision(heads, f"Of {source.name}'s network.")


def _intensity(plan: Plan, source: SourceModel) -> dict[str, Any]:
    """Normalisation as the source had it, where the data are of the same kind."""
    if source.plan is None:
        because = (
            f"{plan.normalization.because} {source.name} is not made by mist_bundle; its own transforms stay behind."
        )
        return {"normalization": Decision(plan.normalization.value, because)}
    if plan.skip_preprocessing or source.plan.modality != plan.modality:
        because = f"{plan.normalization.because} {source.name} has {source.plan.modality} images."
        return {"normalization": Decision(plan.normalization.value, because)} if not plan.skip_preprocessing else {}
    kept = f"Kept from {source.name}, so that intensities mean to the weights what they meant."
    changed: dict[str, Any] = {
        "normalization": Decision(source.plan.normalization.value, kept),
        "normalize_nonzero": Decision(source.plan.normalize_nonzero.value, kept),
        "bias_correction": Decision(source.plan.bias_correction.value, kept),
    }
    windows = source.plan.intensity_windows.value
    if windows and len(plan.intensity_windows.value) == plan.num_channels:
        known = dict(zip((_plain(name) for name in source.channel_names), windows, strict=True))
        chosen = tuple(
            known.get(_plain(name), own)
            for name, own in zip(plan.channel_names, plan.intensity_windows.value, strict=True)
        )
        if plan.num_channels == len(windows) == 1:
            chosen = tuple(windows)
        changed["intensity_windows"] = Decision(chosen, f"{kept} A channel it does not know: measured over these data.")
    return changed


def _training(plan: Plan, source: SourceModel, options: TransferOptions) -> dict[str, Any]:
    epochs = plan.epochs.value
    unfreeze = options.unfreeze_epoch
    if options.freeze == "none":
        frozen = Decision(0, "Nothing is frozen.")
    elif unfreeze is None or unfreeze > epochs:
        frozen = Decision(epochs, "The encoder keeps the source's weights to the end, as asked.")
    else:
        frozen = Decision(unfreeze - 1, f"The encoder keeps the source's weights until epoch {unfreeze}, as asked.")
    rate = plan.learning_rate
    if rate.because != ASKED:
        because = (
            f"A {RATE_SHARE}th of {rate.value:g}, the recipe's: weights that are good already want a smaller rate."
        )
        rate = Decision(float(f"{rate.value / RATE_SHARE:.6g}"), because)
    decay = ASKED if options.layer_decay < 1 else "All stages learn at the same rate."
    return {
        "initial_weights": Decision(source.name, "Training begins from its weights; configs/transfer.json lists them."),
        "learning_rate": rate,
        "frozen_epochs": frozen,
        "layer_decay": Decision(options.layer_decay, decay),
    }


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _text(values: Sequence[float]) -> str:
    return " x ".join(str(value) for value in values)
