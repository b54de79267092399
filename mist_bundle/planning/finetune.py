"""What a new plan keeps of the bundle that it starts from, so that the source's weights fit and keep their meaning.

Takes the plan that the rules make for the new data and a description of the source, and returns the plan with the
source's network and, unless planned again, its spacing, patch and normalisation. Pure: no files, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.planning.decision import Decision
from mist_bundle.planning.imported import NNUNET_RULES
from mist_bundle.planning.options import TRANSFER_OPTIONS, PlanOptions, TransferOptions
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.recipes import CHOSEN, RECIPES
from mist_bundle.planning.rules import joined
from mist_bundle.planning.topology import round_up, strides_product
from mist_bundle.runtime.numerics.schemes import ZSCORE
from mist_bundle.runtime.numerics.triples import Spacing, Triple

# arguments of MONAI's networks for the numbers of input channels and of classes
INPUT_ARGUMENTS = ("in_channels",)
OUTPUT_ARGUMENTS = ("out_channels", "num_classes")
RATE_SHARE = 20  # of the recipe's learning rate; the best share where it was measured (docs/finetune.md)
UNKNOWN_DIVISOR = 32  # five halvings; no network of MONAI needs more

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
        name: name of the bundle, for people.
        target: dotted path of its network.
        arguments: arguments of the network.
        channel_names: names of its image channels, in order.
        class_names: names of its outputs, in order.
        network: name in the catalogue, or "" for the network of a stock bundle.
        plan: the source's own plan, if mist-bundle wrote it.
        spacing_mm: spacing of its prepared images, if the source states it.
        patch_size: patch size of its network, if the source states it.
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
    problems: list[Problem] = []
    for name, option in TRANSFER_OPTIONS.items():
        value = getattr(options, name)
        message = None if value is None else option.kind.problem(value)
        if message is not None:
            problems.append(Problem(f"--{name}", message))
    if options.unfreeze_epoch is not None and options.freeze == "none":
        problems.append(Problem("--unfreeze_epoch", "needs something frozen: pass --freeze encoder too."))
    if problems:
        raise InputError(problems)


def adapt_plan(plan: Plan, source: SourceModel, options: TransferOptions, chosen: frozenset[str] = frozenset()) -> Plan:
    """Return the plan of a bundle that starts from `source`.

    Args:
        plan: what the rules decide for the new data.
        source: origin of the weights.
        options: the user's transfer options.
        chosen: names of plan options that the user set explicitly; these win over the source.
    """
    residual = source.plan is not None and source.plan.residual.value
    changes: dict[str, Any] = {
        "network": Decision(source.network or source.target, f"Network of {source.name}, so that its weights fit."),
        "network_arguments": fitted_arguments(source.arguments, plan.num_channels, len(plan.output_names)),
        "network_branches": NO_BRANCHES if source.plan is None else source.plan.network_branches,
        "patch_divisor": patch_divisor(source),
        "residual": Decision(residual, f"As in the network of {source.name}."),
        "vae": Decision(False, "Not carried over: the branch is in training only."),
        "deep_supervision_heads": _heads(source),
        "target_spacing_mm": _spacing(plan, source, options, chosen),
        "patch_size": _patch(plan, source, options, chosen),
        **_intensity(plan, source),
        **_training(plan, source, options),
    }
    return replace(plan, **changes)


def fitted_arguments(arguments: Mapping[str, Any], num_channels: int, num_classes: int) -> dict[str, Any]:
    """Return the arguments of a network for other numbers of input channels and classes."""
    fitted = dict(arguments)
    for name in arguments:
        if name in INPUT_ARGUMENTS:
            fitted[name] = num_channels
        elif name in OUTPUT_ARGUMENTS:
            fitted[name] = num_classes
    return fitted


def patch_divisor(source: SourceModel) -> Triple:
    """Return the number of voxels that each patch axis must be a multiple of.

    It is taken from the source's plan, or derived from the arguments of its network.
    """
    arguments = source.arguments
    if source.plan is not None:
        return source.plan.patch_divisor
    if "strides" in arguments:
        strides = []
        for stride in arguments["strides"]:
            strides.append(stride if isinstance(stride, Sequence) else [stride] * 3)
        return strides_product(strides)
    divisor = UNKNOWN_DIVISOR
    if "blocks_down" in arguments:
        divisor = 2 ** (len(arguments["blocks_down"]) - 1)
    return (divisor, divisor, divisor)


def same_name(first: str, second: str) -> bool:
    """Return whether two names of channels or classes are equal up to case, spaces and punctuation."""
    return _plain(first) == _plain(second)


def source_options(
    options: PlanOptions, source: SourceModel, transfer: TransferOptions, chosen: frozenset[str]
) -> PlanOptions:
    """Return the options for the rules: with the source's recipe and, if it is kept, its spacing."""
    if "recipe" not in chosen:
        options = replace(options, recipe=default_recipe(source))
    if source.spacing_mm is not None and not transfer.replan and "target_spacing" not in chosen:
        options = replace(options, target_spacing=source.spacing_mm)
    return options


def default_recipe(source: SourceModel) -> str:
    """Return the recipe that the source was planned with, if this version has it."""
    recipe = "" if source.plan is None else source.plan.recipe.value
    return recipe if recipe in RECIPES else "paper"


def _spacing(plan: Plan, source: SourceModel, options: TransferOptions, chosen: frozenset[str]) -> Decision[Spacing]:
    by_rule = plan.target_spacing_mm
    if source.spacing_mm is None:
        return Decision(by_rule.value, f"{by_rule.because} {source.name} does not state its own.")
    if "target_spacing" in chosen:
        return by_rule
    if options.replan:
        because = f"{by_rule.because} Planned again, as the user chose; {source.name} had {joined(source.spacing_mm)}."
        return Decision(by_rule.value, because)
    # the rules planned with the source's spacing, so their reason holds "…; the rule gives …"
    _, _, rule = by_rule.because.partition("; ")
    return Decision(source.spacing_mm, f"Kept from {source.name}, whose weights know structures at this scale; {rule}")


def _patch(plan: Plan, source: SourceModel, options: TransferOptions, chosen: frozenset[str]) -> Decision[Triple]:
    by_rule = plan.patch_size
    by_user = "patch_size" in chosen or "max_patch_size" in chosen
    if source.patch_size is None:
        because = f"{by_rule.because} Planned again; {source.name} does not state its own."
        patch = Decision(by_rule.value, because)
    elif options.replan or by_user:
        because = f"{by_rule.because} Planned again; {source.name} had {joined(source.patch_size)}."
        patch = Decision(by_rule.value, because)
    else:
        because = f"Kept from {source.name}; the rule gives {joined(by_rule.value)}."
        patch = Decision(source.patch_size, because)
    divisor = patch_divisor(source)
    fitted = round_up(patch.value, divisor)
    if fitted == tuple(patch.value):
        return patch
    return Decision(fitted, f"{patch.because} Raised to multiples of {joined(divisor)} for the source's network.")


def _heads(source: SourceModel) -> Decision[int]:
    because = f"As in the network of {source.name}."
    if source.plan is not None:
        return Decision(source.plan.deep_supervision_heads.value, because)
    if not source.arguments.get("deep_supervision"):
        return Decision(0, because)
    return Decision(int(source.arguments.get("deep_supr_num", 1)), because)


def _intensity(plan: Plan, source: SourceModel) -> dict[str, Any]:
    """Normalisation of the source, if the data are of the same kind."""
    by_rule = plan.normalization
    if source.plan is None:
        because = f"{by_rule.because} mist-bundle did not write {source.name}, whose own transforms are not used."
        return {"normalization": Decision(by_rule.value, because)}
    if plan.skip_preprocessing:
        return {}
    if source.plan.preprocessing is not None and source.plan.preprocessing["rules"] == NNUNET_RULES:
        return _as_imported(plan, source, source.plan)
    if source.plan.modality != plan.modality:
        because = f"{by_rule.because} {source.name} has {source.plan.modality} images."
        return {"normalization": Decision(by_rule.value, because)}
    because = f"Kept from {source.name}, so that intensities mean the same to the weights as before."
    changes: dict[str, Any] = {
        "preprocessing": source.plan.preprocessing,
        "normalization": Decision(source.plan.normalization.value, because),
        "normalize_nonzero": Decision(source.plan.normalize_nonzero.value, because),
        "bias_correction": Decision(source.plan.bias_correction.value, because),
    }
    if source.plan.intensity_windows.value and len(plan.intensity_windows.value) == plan.num_channels:
        because += " A channel that it does not know: measured over these data."
        changes["intensity_windows"] = Decision(_windows(plan, source, source.plan), because)
    return changes


def _as_imported(plan: Plan, source: SourceModel, source_plan: Plan) -> dict[str, Any]:
    """Preprocessing and inference of the program that trained the source."""
    because = f"Kept from {source.name}, so that intensities and voxels mean the same to the weights as before."
    preprocessing = dict(source_plan.preprocessing or {})
    preprocessing["schemes"] = _schemes(plan, source, preprocessing["schemes"])
    return {
        "preprocessing": preprocessing,
        "inference": source_plan.inference,
        "normalization": Decision(source_plan.normalization.value, because),
        "intensity_windows": Decision((), because),
        "normalize_nonzero": Decision(False, because),
        "crop_to_foreground": Decision(False, source_plan.crop_to_foreground.because),
        "bias_correction": Decision(False, because),
    }


def _schemes(plan: Plan, source: SourceModel, known: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The scheme of each channel: its namesake's, the common scheme of all, or z-scores of a channel that is new."""
    if plan.num_channels == len(known) == 1:
        return list(known)
    common = known[0] if all(scheme == known[0] for scheme in known) else {"scheme": ZSCORE, "mask": False}
    by_name: dict[str, Mapping[str, Any]] = {}
    for name, scheme in zip(source.channel_names, known, strict=True):
        by_name[_plain(name)] = scheme
    return [by_name.get(_plain(name), common) for name in plan.channel_names]


def _windows(plan: Plan, source: SourceModel, source_plan: Plan) -> tuple[Mapping[str, float], ...]:
    """Intensity windows by channel: the source's for channels of the same name, otherwise the measured windows."""
    windows = source_plan.intensity_windows.value
    if plan.num_channels == len(windows) == 1:
        return tuple(windows)
    known: dict[str, Mapping[str, float]] = {}
    for name, window in zip(source.channel_names, windows, strict=True):
        known[_plain(name)] = window
    chosen = []
    for name, measured in zip(plan.channel_names, plan.intensity_windows.value, strict=True):
        chosen.append(known.get(_plain(name), measured))
    return tuple(chosen)


def _training(plan: Plan, source: SourceModel, options: TransferOptions) -> dict[str, Any]:
    rate = plan.learning_rate
    if rate.because != CHOSEN:
        because = f"A {RATE_SHARE}th of the recipe's {rate.value:g}: weights that are already good need a smaller rate."
        rate = Decision(float(f"{rate.value / RATE_SHARE:.6g}"), because)
    decay = CHOSEN if options.layer_decay < 1 else "All stages learn at the same rate."
    return {
        "initial_weights": Decision(source.name, "Training begins from its weights; configs/transfer.json lists them."),
        "learning_rate": rate,
        "frozen_epochs": _frozen_epochs(plan.epochs.value, options),
        "layer_decay": Decision(options.layer_decay, decay),
    }


def _frozen_epochs(epochs: int, options: TransferOptions) -> Decision[int]:
    unfreeze = options.unfreeze_epoch
    if options.freeze == "none":
        return Decision(0, "Nothing is frozen.")
    if unfreeze is None or unfreeze > epochs:
        return Decision(epochs, "The user keeps the source's encoder to the end.")
    return Decision(unfreeze - 1, f"The user keeps the source's encoder until epoch {unfreeze}.")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())
