"""The section about what was decided: in plain words, and every decision with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mist_bundle.planning.table import is_plain, value_text
from mist_bundle.report.data_part import facts
from mist_bundle.report.html import Html, details, el, number, section, table

Decided = Mapping[str, Mapping[str, Any]]

_FACTS = {  # decision -> its name in the overview
    "network": "network",
    "loss": "loss",
    "target_spacing_mm": "spacing, mm",
    "patch_size": "patch, voxels",
    "normalization": "intensities",
    "epochs": "epochs",
    "batch_size": "patches per step",
}
_TIMES = ("spacing", "shape", "size")  # decisions whose values are lengths along three axes


def plan_section(plan: Mapping[str, Any]) -> Html:
    """What was decided, in words, as numbers, and as a table with reasons."""
    decided = plan["decisions"]
    shown = [(words, _value(name, decided[name]["value"])) for name, words in _FACTS.items() if name in decided]
    plain = {name: one for name, one in decided.items() if is_plain(name, one["because"])}
    special = {name: one for name, one in decided.items() if name not in plain}
    sentences = [el("li", sentence) for sentence in plan_words(plan)]
    return section(
        "plan",
        "Plan",
        facts(shown),
        el("h3", "In words"),
        el("ul", *sentences, class_="notes"),
        el("h3", "Decisions and their reasons"),
        _table(special, "Decided by the data, the recipe's rules, or whoever asked for it"),
        details(
            f"{len(plain)} more settings, as recipe {decided['recipe']['value']} has them", _table(plain, "Defaults")
        ),
        details("Arguments of the network", el("pre", el("code", _plain(plan["network_arguments"])), tabindex=0)),
        lead="What was decided before training, from the measurements and the recipe.",
    )


def _table(decided: Decided, caption: str) -> Html:
    rows = [
        [_name(name), _value(name, one["value"]), el("span", one["because"], class_="reason")]
        for name, one in decided.items()
    ]
    return table(["decision", "value", "because"], rows, caption=caption, stacked=True)


def plan_words(plan: Mapping[str, Any]) -> list[str]:
    """Sentences for readers who do not train networks: what happens to an image, what is trained, how it is tested."""
    decided = plan["decisions"]
    return [*_preparation(plan, decided), *_learning(plan, decided)]


def _preparation(plan: Mapping[str, Any], decided: Decided) -> Iterator[str]:
    patch, spacing = decided["patch_size"]["value"], decided["target_spacing_mm"]["value"]
    if plan.get("skip_preprocessing"):
        yield "Images are used as they are: whoever configured this said that they are prepared already."
    else:
        first = "cut to the box around the body, then " if decided["crop_to_foreground"]["value"] else ""
        yield (
            f"Each image is {first}resampled to voxels of {_lengths(spacing)} mm, and its "
            f"intensities are {_intensities(decided)}."
        )
    extent = [side * length for side, length in zip(patch, spacing, strict=True)]
    yield (
        f"The network looks at blocks of {_lengths(patch)} voxels ({_lengths(extent, 2)} mm: left to right, front to "
        "back, feet to head) at a time, called patches; a whole image is covered by overlapping ones."
    )


def _learning(plan: Mapping[str, Any], decided: Decided) -> Iterator[str]:
    classes = list(plan["final_classes"]) if decided["regions"]["value"] else plan["label_names"][1:]
    epochs, steps, batch = (number(decided[name]["value"]) for name in ("epochs", "steps_per_epoch", "batch_size"))
    target = "the classes, which may overlap" if decided["regions"]["value"] else "one label for each voxel"
    yield (f"It learns {target} ({', '.join(classes)}), in {epochs} epochs of {steps} steps with {batch} patches each.")
    percent = 100 * decided["val_fraction"]["value"]
    yield (
        f"The cases are divided into {plan['num_folds']} groups, called folds. For each fold a model is trained on the "
        f"other folds and tested on this one, so every case is judged by a model that has not seen it. Of the training "
        f"cases, {number(percent)} % are set aside to choose the best epoch."
    )


def _intensities(decided: Decided) -> str:
    kind = decided["normalization"]["value"]
    if kind == "none":
        return "left as they are"
    scale = "brought to mean 0 and standard deviation 1"
    where = ", counting voxels other than 0" if decided["normalize_nonzero"]["value"] else ""
    limits = "limits common to all cases" if decided["intensity_windows"]["value"] else "the image's own percentiles"
    return f"clipped at {limits} and {scale}{where}"


def _lengths(values: Sequence[float], digits: int = 3) -> str:
    return " × ".join(number(float(value), digits) for value in values)


def _name(name: str) -> str:
    words = name.removesuffix("_mm").replace("_", " ")
    return f"{words}, mm" if name.endswith("_mm") else words


def _value(name: str, value: Any) -> str:
    text = value_text(name, value)
    if any(word in name for word in _TIMES):
        text = text.replace(" x ", " × ")
    return text.replace("_", " ") if name in ("normalization", "composite_weighting") else text


def _plain(arguments: Mapping[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in arguments.items())
