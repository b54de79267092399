"""The section about the plan: in plain words, and every decision with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mist_bundle.planning.decision import Decision
from mist_bundle.planning.imported import NNUNET_RULES
from mist_bundle.planning.plan import Plan
from mist_bundle.planning.table import is_plain, value_text
from mist_bundle.report.html import Html, bullets, details, el, facts, number, section, table

Decisions = Mapping[str, Decision[Any]]

_FACTS = {  # decision -> its name in the overview
    "network": "network",
    "loss": "loss",
    "target_spacing_mm": "spacing, mm",
    "patch_size": "patch, voxels",
    "normalization": "intensities",
    "epochs": "epochs",
    "batch_size": "patches per step",
}
_ALONG_AXES = re.compile("spacing|shape|size")  # decisions whose values are lengths along three axes


def plan_section(plan: Plan) -> Html:
    """The decisions in words, as a few numbers, and as tables with their reasons."""
    values = []
    for name, words in _FACTS.items():
        values.append((words, _value(name, getattr(plan, name).value)))
    by_default = {}
    with_reason = {}
    for name, decision in plan.decisions():
        if is_plain(name, decision.because):
            by_default[name] = decision
        else:
            with_reason[name] = decision
    defaults = f"{len(by_default)} more settings, the defaults of recipe {plan.recipe.value}"
    arguments = el("pre", el("code", _lines(plan.network_arguments)), tabindex=0)
    return section(
        "plan",
        "Plan",
        facts(values),
        el("h3", "In words"),
        bullets(plan_words(plan), class_="notes"),
        el("h3", "Decisions and their reasons"),
        _table(with_reason, "Decided by the data, the rules of the recipe, or an option"),
        details(defaults, _table(by_default, "Defaults")),
        details("Arguments of the network", arguments),
        lead="Decisions before training, from the measurements and the recipe.",
    )


def _table(decisions: Decisions, caption: str) -> Html:
    rows = []
    for name, decision in decisions.items():
        rows.append([_name(name), _value(name, decision.value), el("span", decision.because, class_="reason")])
    return table(["decision", "value", "because"], rows, caption=caption, stacked=True)


def plan_words(plan: Plan) -> list[str]:
    """Sentences for readers who do not train networks: preparation of the images, training and testing."""
    return [*_preparation(plan), *_learning(plan)]


def _preparation(plan: Plan) -> Iterator[str]:
    patch = plan.patch_size.value
    spacing_mm = plan.target_spacing_mm.value
    if plan.skip_preprocessing:
        yield "Images are not preprocessed, as was requested by --skip_preprocessing."
    elif plan.preprocessing is not None and plan.preprocessing["rules"] == NNUNET_RULES:
        yield (
            "Each image is cropped to the voxels that are not zero, its channels are normalised by nnU-Net's schemes "
            f"({_schemes(plan.preprocessing)}), and it is resampled to voxels of {_lengths(spacing_mm)} mm by "
            "nnU-Net's rules."
        )
    else:
        crop = "cropped to the box around the body, then " if plan.crop_to_foreground.value else ""
        yield (
            f"Each image is {crop}resampled to voxels of {_lengths(spacing_mm)} mm, and its intensities are "
            f"{_intensities(plan)}."
        )
    extent_mm = [side * length for side, length in zip(patch, spacing_mm, strict=True)]
    yield (
        f"The network processes blocks of {_lengths(patch)} voxels ({_lengths(extent_mm, 2)} mm: left to right, front "
        "to back, feet to head), called patches. A whole image is covered by overlapping patches."
    )


def _learning(plan: Plan) -> Iterator[str]:
    if plan.regions.value:
        target = f"the classes, which may overlap ({', '.join(plan.final_classes)})"
    else:
        target = f"a label for each voxel ({', '.join(plan.label_names[1:])})"
    epochs = f"{number(plan.epochs.value)} epochs of {number(plan.steps_per_epoch.value)} steps"
    yield f"It learns {target}, in {epochs} with {number(plan.batch_size.value)} patches each."
    percent = number(100 * plan.val_fraction.value)
    yield (
        f"The cases are divided into {plan.num_folds} groups, called folds. For each fold a model is trained on the "
        f"other folds and tested on this fold, so every case is predicted by a model that has not seen it. Of the "
        f"training cases, {percent} % are set aside to choose the best epoch."
    )


def _schemes(preprocessing: Mapping[str, Any]) -> str:
    names = [str(scheme["scheme"]).replace("_", " ") for scheme in preprocessing["schemes"]]
    return ", ".join(names)


def _intensities(plan: Plan) -> str:
    if plan.normalization.value == "none":
        return "left unchanged"
    limits = "limits common to all cases" if plan.intensity_windows.value else "percentiles of the image"
    nonzero = ", computed over voxels other than 0" if plan.normalize_nonzero.value else ""
    return f"clipped at {limits} and normalised to mean 0 and standard deviation 1{nonzero}"


def _lengths(values: Sequence[float], digits: int = 3) -> str:
    return " × ".join(number(float(value), digits) for value in values)


def _name(name: str) -> str:
    words = name.removesuffix("_mm").replace("_", " ")
    return f"{words}, mm" if name.endswith("_mm") else words


def _value(name: str, value: Any) -> str:
    text = value_text(name, value)
    if _ALONG_AXES.search(name):
        text = text.replace(" x ", " × ")
    return text.replace("_", " ") if name in ("normalization", "composite_weighting") else text


def _lines(arguments: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in arguments.items())
