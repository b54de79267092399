"""Pictures of single cases: three planes with the outlines of the reference and, if there is one, of the prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError
from mist_bundle.report.colours import OVERLAY_COLOURS, label_colours
from mist_bundle.report.html import Html, el, join, problem
from mist_bundle.report.pictures import MARGIN_MM, Outlined, picture, three_planes
from mist_bundle.report.sources import CaseFiles
from mist_bundle.report.windows import window_of


def case_figure(
    case: CaseFiles,
    label_names: Mapping[int, str],
    modality: str,
    caption: object,
    *,
    whole: bool,
    channel: int = 0,
    focus: tuple[str, Sequence[int]] = ("", ()),
) -> Html:
    """A case in three planes.

    Args:
        case: its files.
        label_names: label value -> name.
        modality: ct, mr or other.
        caption: what is said above it, besides its id.
        whole: show whole slices; otherwise only what is labelled, with a margin.
        channel: number of the channel that is shown.
        focus: name and labels of the class that is talked about, which the slices are cut through.

    Returns:
        A figure; where a file cannot be read, or a prediction does not fit, what is wrong in its place.
    """
    heading = el("figcaption", el("strong", case.id), caption)
    name, path = list(case.images.items())[channel]
    focus_name, focus_labels = focus
    try:
        image, label = read_volume(path), read_volume(case.label)
        prediction = None if case.prediction is None else read_volume(case.prediction)
        label = label.on_grid_of(image)
        prediction = None if prediction is None else prediction.on_grid_of(image)
    except InputError as error:
        return el("figure", heading, problem(f"No picture: {error}"), class_="case")
    wrong = [finding for other in (label, prediction) if other is not None for finding in check_headers(image, other)]
    if wrong:
        return el("figure", heading, problem(f"No picture: {' '.join(wrong)}"), class_="case")
    window = window_of(image.array, label.array, modality, label_names.values())
    margin_mm = None if whole else MARGIN_MM
    maps = _maps(label, prediction, label_names)
    planes = three_planes(image.array, image.affine, maps, window, margin_mm=margin_mm, focus=focus_labels)
    what = "reference outlined" if prediction is None else "reference filled, prediction outlined"
    pictures = [picture(one, f"{case.id}, {name}, {one.plane} slice, {what}") for one in planes]
    notes = [f"cut through {focus_name}" if focus_name else "", window.words]
    words = "; ".join(note for note in notes if note)
    foot = el("p", f"{words[0].upper()}{words[1:]}.", class_="note") if words else None
    return el("figure", heading, el("div", *pictures, class_="planes"), foot, class_="case")


def channels_figure(case: CaseFiles, label_names: Mapping[int, str], modality: str) -> Html:
    """The axial slice of one case in each of its channels."""
    heading = el("figcaption", el("strong", case.id), "All channels, the same axial slice")
    pictures = []
    try:
        label = read_volume(case.label)
        for name, path in case.images.items():
            image = read_volume(path)
            window = window_of(image.array, label.array, modality, label_names.values())
            shown = three_planes(image.array, image.affine, _maps(label, None, label_names), window)[0]
            pictures.append(el("div", picture(shown, f"{case.id}, {name}, axial slice"), el("p", name), class_="plane"))
    except InputError as error:
        return el("figure", heading, problem(f"No picture: {error}"), class_="case")
    return el("figure", heading, el("div", *pictures, class_="planes"), class_="case")


def label_legend(label_names: Mapping[int, str], *, prediction: bool = False) -> Html:
    """Which colour is which label, and which line is the prediction; with switches where both are drawn."""
    colours = label_colours(list(label_names))
    items = [
        el("li", _sample(OVERLAY_COLOURS[colours[label] % len(OVERLAY_COLOURS)]), label_names[label])
        for label in colours
    ]
    if not prediction:
        return el("ul", *items, class_="legend")
    lines = [
        el("li", _sample("currentColor", filled=True), "reference (filled)"),
        el("li", _sample("currentColor"), "prediction (outline)"),
    ]
    switches = [
        el("label", el("input", type="checkbox", checked=True, data_hide=kind), f" show {kind}", class_="switch")
        for kind in ("reference", "prediction")
    ]
    # without a script the switches would do nothing, so the script shows them
    return join([el("ul", *items, *lines, class_="legend"), el("p", *switches, class_="switches", hidden=True)])


def spread_cases(report: Mapping[str, Any], count: int) -> list[str]:
    """Ids of about `count` cases from the smallest to the largest labelled volume, evenly spread over all."""
    cases = sorted(report["cases"], key=lambda case: (_labelled_ml(report, case), case["id"]))
    if len(cases) <= count:
        return [case["id"] for case in cases]
    places = np.rint(np.linspace(0, len(cases) - 1, count)).astype(int)
    return [cases[place]["id"] for place in places]


def _labelled_ml(report: Mapping[str, Any], case: Mapping[str, Any]) -> float:
    single = [name for name, stats in report["structures"].items() if len(stats["labels"]) == 1]
    return float(sum(case["structures"][name]["volume_ml"] for name in single))


def _maps(label: Volume, prediction: Volume | None, label_names: Mapping[int, str]) -> list[Outlined]:
    """The reference, filled where a prediction is drawn over it, and the prediction."""
    colours = label_colours(list(label_names))
    reference = Outlined(kind="reference", array_xyz=label.array, colours=colours, is_filled=prediction is not None)
    if prediction is None:
        return [reference]
    return [reference, Outlined(kind="prediction", array_xyz=prediction.array, colours=colours)]


def _sample(colour: str, *, filled: bool = False) -> Html:
    place = {"x": 2, "y": 1.5, "width": 20, "height": 9, "rx": 2, "stroke": colour, "stroke_width": 2.5}
    box = el("rect", **place, fill=colour if filled else "none", fill_opacity=0.4, stroke_opacity=0.3 if filled else 1)
    return el("svg", box, view_box="0 0 24 12", aria_hidden="true")
