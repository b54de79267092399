"""Pictures of single cases: three planes with the reference and, if it exists, the prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem, problems_of
from mist_bundle.report.colours import label_colours, structure_colour
from mist_bundle.report.html import Html, bullets, el, join, problem
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
    channel: str = "",
    focus: tuple[str, Sequence[int]] = ("", ()),
) -> Html:
    """A case in three planes.

    Args:
        case: its files.
        label_names: label value -> name.
        modality: ct, mr or other.
        caption: follows the id in the heading.
        whole: show whole slices; otherwise crop to all labels with a margin.
        channel: name of the channel that is shown; where the case lacks it, and by default, the first that it has.
        focus: name and labels of the class through which the slices are cut.

    Returns:
        A figure. If a file cannot be read, or a prediction does not fit, it shows the reason instead of the slices.
    """
    heading = el("figcaption", el("strong", case.id), caption)
    channel_name = channel if channel in case.images else next(iter(case.images))
    path = case.images[channel_name]
    focus_name, focus_labels = focus
    try:
        image, label, prediction = read_case(path, case)
    except InputError as error:
        return el("figure", heading, problem(f"No picture: {error}"), class_="case")
    window = window_of(image.array, label.array, modality, label_names.values())
    margin_mm = None if whole else MARGIN_MM
    maps = _maps(label, prediction, label_names)
    overlays = "reference outlined" if prediction is None else "reference filled, prediction outlined"
    pictures = []
    for plane in three_planes(image.array, image.affine, maps, window, margin_mm=margin_mm, focus=focus_labels):
        pictures.append(picture(plane, f"{case.id}, {channel_name}, {plane.plane} slice, {overlays}"))
    notes = [f"cut through {focus_name}"] if focus_name else []
    if window.words:
        notes.append(window.words)
    sentence = "; ".join(notes)
    foot = el("p", f"{sentence[0].upper()}{sentence[1:]}.", class_="note") if notes else None
    return el("figure", heading, el("div", *pictures, class_="planes"), foot, class_="case")


def read_case(image_path: Path, case: CaseFiles) -> tuple[Volume, Volume, Volume | None]:
    """Image, reference and prediction of a case, on the grid of the image.

    Raises:
        InputError: a file cannot be read, or lies on another grid.
    """
    image = read_volume(image_path)
    problems: list[Problem] = []
    label_maps: list[Volume | None] = []
    for path in (case.label, case.prediction):
        if path is None:
            label_maps.append(None)
            continue
        label_map = read_volume(path).on_grid_of(image)
        problems += problems_of(case.id, check_headers(image, label_map))
        label_maps.append(label_map)
    label, prediction = label_maps
    if problems or label is None:
        raise InputError(problems)
    return image, label, prediction


def channels_figure(case: CaseFiles, label_names: Mapping[int, str], modality: str) -> Html:
    """The axial slice of one case in each of its channels."""
    heading = el("figcaption", el("strong", case.id), "Axial slice of all channels")
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
    """The colours of the labels; with predictions also the line styles, and switches that hide either map."""
    items = []
    for label, number in label_colours(list(label_names)).items():
        items.append(join([_sample(structure_colour(number)), label_names[label]]))
    if not prediction:
        return bullets(items, class_="legend")
    items.append(join([_sample("currentColor", filled=True), "reference (filled)"]))
    items.append(join([_sample("currentColor"), "prediction (outline)"]))
    switches = []
    for kind in ("reference", "prediction"):
        box = el("input", type="checkbox", checked=True, data_hide=kind)
        switches.append(el("label", box, f" show {kind}", class_="switch"))
    # hidden until the script, which the switches need, shows them
    return join([bullets(items, class_="legend"), el("p", *switches, class_="switches", hidden=True)])


def spread_cases(report: Mapping[str, Any], count: int) -> list[str]:
    """Ids of about `count` cases, evenly spread from the smallest to the largest labelled volume."""
    sizes = []
    for case in report["cases"]:
        sizes.append((_labelled_ml(report, case), case["id"]))
    ids = np.array([case_id for _, case_id in sorted(sizes)])
    if len(ids) > count:
        positions = np.rint(np.linspace(0, len(ids) - 1, count)).astype(int)
        ids = ids[positions]
    chosen: list[str] = ids.tolist()
    return chosen


def _labelled_ml(report: Mapping[str, Any], case: Mapping[str, Any]) -> float:
    volume_ml = 0.0
    for name, stats in report["structures"].items():
        if len(stats["labels"]) == 1:  # classes of several labels would count them again
            volume_ml += case["structures"][name]["volume_ml"]
    return volume_ml


def _maps(label: Volume, prediction: Volume | None, label_names: Mapping[int, str]) -> list[Outlined]:
    """The label maps to draw. The reference is filled if the prediction is outlined over it."""
    colours = label_colours(list(label_names))
    reference = Outlined(kind="reference", array_xyz=label.array, colours=colours, is_filled=prediction is not None)
    if prediction is None:
        return [reference]
    return [reference, Outlined(kind="prediction", array_xyz=prediction.array, colours=colours)]


def _sample(colour: str, *, filled: bool = False) -> Html:
    shape = {"x": 2, "y": 1.5, "width": 20, "height": 9, "rx": 2}
    stroke = {"stroke": colour, "stroke_width": 2.5}
    if filled:
        box = el("rect", **shape, **stroke, fill=colour, fill_opacity=0.4, stroke_opacity=0.3)
    else:
        box = el("rect", **shape, **stroke, fill="none")
    return el("svg", box, view_box="0 0 24 12", aria_hidden="true")
