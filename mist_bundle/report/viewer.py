"""An interactive viewer of a few cases: three planes and a rendering, in one HTML file that works without a network.

The volumes stand in the page itself, so that it opens from a folder; assets/viewer.js draws the planes. The rendering
is NiiVue's, which scripts/build_viewer fetches by npm; without it there are the planes alone. Large volumes are thinned
out, and the page says so.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import write_text
from mist_bundle.report.colours import OVERLAY_COLOURS, label_colours
from mist_bundle.report.html import Html, el, page_head
from mist_bundle.report.pictures import MARGIN_MM, where_to_cut
from mist_bundle.report.sources import CaseFiles
from mist_bundle.report.windows import window_of
from mist_bundle.resources import PACKAGE, own_text
from mist_bundle.runtime.numerics.crop import bounding_box
from mist_bundle.runtime.numerics.grid import reorient, spacing_of

NIIVUE_VERSION = "0.69.0"
LIBRARY = "niivue.umd.js"
BUILD_COMMAND = "scripts/build_viewer"
# NiiVue unpacks what stands in the page by data: and blob: addresses; nothing is fetched from anywhere else
_POLICY = (
    "default-src 'none'; img-src data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:"
)
_DIFFERENCES = {1: ("missed", "#ff4d4d"), 2: ("false positive", "#ffe14d"), 3: ("wrong label", "#c77dff")}
MAX_VOXELS = 1 << 24  # of one volume


def library_text() -> str | None:
    """The source of NiiVue; None where scripts/build_viewer has not been run."""
    path = PACKAGE / "report/assets" / LIBRARY
    return path.read_text(encoding="utf-8") if path.is_file() else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewerCase:
    """A case in the viewer: its files, what is said about it, and the labels of the class that this is about."""

    files: CaseFiles
    words: str = ""
    focus: tuple[int, ...] = ()


def write_viewer(
    output: Path,
    cases: Sequence[ViewerCase],
    label_names: Mapping[int, str],
    modality: str,
    title: str,
    report_name: str,
) -> list[Problem]:
    """Write the viewer.

    Args:
        output: the HTML file.
        cases: the first is shown first.
        label_names: label value -> name.
        modality: ct, mr or other.
        title: of the page.
        report_name: file name of the report beside it, for the way back.

    Returns:
        The cases that could not be read; the others are in the viewer.

    Raises:
        InputError: no case could be read.
    """
    shown, problems = [], []
    for case in cases:
        try:
            shown.append(_shown(case, label_names, modality))
        except InputError as error:
            problems.append(Problem(case.files.id, str(error)))
    if not shown:
        raise InputError([*problems, Problem("viewer", "there is no case to show.")])
    colours = [
        {"value": label, "name": label_names[label], "rgb": _rgb(OVERLAY_COLOURS[index % len(OVERLAY_COLOURS)])}
        for label, index in label_colours(list(label_names)).items()
    ]
    kinds = [{"value": value, "name": name, "rgb": _rgb(colour)} for value, (name, colour) in _DIFFERENCES.items()]
    data = {"cases": shown, "labels": colours, "differences": kinds}
    write_text(output, _page(library_text(), data, title, report_name))
    return problems


def _shown(case: ViewerCase, label_names: Mapping[int, str], modality: str) -> dict[str, Any]:
    files = case.files
    image, reference = read_volume(next(iter(files.images.values()))), read_volume(files.label)
    prediction = None if files.prediction is None else read_volume(files.prediction)
    reference = reference.on_grid_of(image)
    prediction = None if prediction is None else prediction.on_grid_of(image)
    for other in (reference, prediction):
        findings = [] if other is None else check_headers(image, other)
        if findings:
            raise InputError([Problem(files.id, finding) for finding in findings])
    window = window_of(image.array, reference.array, modality, label_names.values())
    step = max(1, math.ceil((image.array.size / MAX_VOXELS) ** (1 / 3) - 1e-9))
    image, reference = _thinned(_turned(image), step), _thinned(_turned(reference), step)
    prediction = None if prediction is None else _thinned(_turned(prediction), step)
    labels = [one.array for one in (reference, prediction) if one is not None]
    notes = [case.words, window.words, f"thinned out: one voxel of {step} along each axis" if step > 1 else ""]
    return {
        "id": files.id,
        "note": "; ".join(note for note in notes if note),
        "window": [window.low, window.high],
        "affine": image.affine[:3].tolist(),
        "centre": _start(labels, case.focus, image.shape),
        "box": _close_up(labels, image.affine),
        "image": _nifti(image, is_label=False),
        "reference": _nifti(reference, is_label=True),
        "prediction": None if prediction is None else _nifti(prediction, is_label=True),
        "differences": None
        if prediction is None
        else _nifti(replace(reference, array=differences(reference.array, prediction.array)), is_label=True),
    }


def _turned(volume: Volume) -> Volume:
    """The volume with axes that point to L, P, S, as the pictures of the report have them."""
    array, affine = reorient(volume.array[None], volume.affine, "LPS")
    return replace(volume, array=array[0], affine=affine)


def _thinned(volume: Volume, step: int) -> Volume:
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    return replace(volume, array=volume.array[::step, ::step, ::step], affine=affine)


def _start(labels: Sequence[NDArray[Any]], focus: Sequence[int], shape: Sequence[int]) -> list[int]:
    """A voxel of the class that is talked about, in the axial slice that shows most of it: all planes meet it."""
    cut = where_to_cut(labels, focus, shape)
    for label in labels:
        flat = label[:, :, cut[2]]
        places = np.argwhere(np.isin(flat, focus) if focus else flat != 0)
        if len(places):
            apart = np.linalg.norm(places - np.median(places, axis=0), axis=1)
            x, y = places[int(np.argmin(apart))].tolist()
            return [x, y, cut[2]]
    return list(cut)


def _close_up(labels: Sequence[NDArray[Any]], affine: NDArray[np.float64]) -> list[list[int]]:
    """First and last voxel (exclusive) of the box around all labels and a margin; everything where none is labelled."""
    inside = np.logical_or.reduce([label != 0 for label in labels])
    shape = inside.shape
    box = bounding_box(np.asarray(inside))
    if box is None:
        return [[0, 0, 0], list(shape)]
    extra = [math.ceil(MARGIN_MM / size) for size in spacing_of(affine).tolist()]
    start = [max(0, low - more) for low, more in zip(box[0], extra, strict=True)]
    stop = [min(length, high + more) for length, high, more in zip(shape, box[1], extra, strict=True)]
    return [start, stop]


def differences(reference: NDArray[Any], prediction: NDArray[Any]) -> NDArray[np.uint8]:
    """Where two label maps differ: 1 the prediction misses a label, 2 invents one, 3 has another.

    Args:
        reference: of any shape.
        prediction: of the same shape.
    """
    kinds = np.where(prediction == 0, np.uint8(1), np.where(reference == 0, np.uint8(2), np.uint8(3)))
    return np.where(reference == prediction, np.uint8(0), kinds)


def _nifti(volume: Volume, *, is_label: bool) -> str:
    """A compressed NIfTI file as base64; images as int16, scaled where they are no whole numbers."""
    import nibabel as nib

    values = np.ascontiguousarray(volume.array)
    array: NDArray[Any]
    if is_label:
        array = values.astype(np.uint8 if values.min(initial=0) >= 0 and values.max(initial=0) < 256 else np.int32)
    else:
        whole = values.dtype.kind in "iu" and abs(int(values.min())) < 32768 and abs(int(values.max())) < 32768
        array = values.astype(np.int16 if whole else np.float32)
    image = nib.Nifti1Image(array, volume.affine)
    image.header.set_data_dtype(array.dtype if is_label else np.int16)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), mtime=0)).decode("ascii")


def _page(library: str | None, data: Mapping[str, Any], title: str, report_name: str) -> str:
    head = page_head(title, _asset("viewer.css"), _POLICY)
    rendering = el("figure", el("canvas", aria_label="Rendering of the case"), id="rendering", hidden=True)
    licence = el(
        "details", el("summary", f"NiiVue {NIIVUE_VERSION}, BSD licence"), el("pre", _asset("niivue_license.txt"))
    )
    body = el(
        "body",
        el(
            "header",
            el("h1", title),
            _controls(data["cases"], has_rendering=library is not None),
            el(
                "div",
                _legend(data["labels"], id="labels"),
                _legend(data["differences"], id="kinds", hidden=True),
                class_="legends",
            ),
            el("p", id="note", role="status"),
        ),
        el("div", rendering if library is not None else None, id="stage"),
        el(
            "footer",
            el("span", id="place", aria_live="polite"),
            el("br"),
            "Click or drag to move the cross, turn the wheel to change the slice. ",
            el("a", "Back to the report", href=report_name),
            licence if library is not None else None,
        ),
        # "<" cannot end the script element when it is written as an escape
        el("script", Html(json.dumps(data).replace("<", "\\u003c")), type="application/json", id="data"),
        None if library is None else el("script", Html(library)),
        el("script", Html(_asset("viewer.js"))),
    )
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _controls(cases: Sequence[Mapping[str, Any]], *, has_rendering: bool) -> Html:
    views = {"all": "all planes", "axial": "axial", "coronal": "coronal", "sagittal": "sagittal"}
    if has_rendering:
        views["render"] = "rendering"
    return el(
        "div",
        _select("case", "case", {str(index): case["id"] for index, case in enumerate(cases)}),
        _select("view", "view", views),
        _select("layout", "maps", {"over": "on one image", "beside": "side by side"}),
        _select("reference", "reference", {"filled": "filled", "outlined": "outlined", "hidden": "hidden"}),
        _select("prediction", "prediction", {"outlined": "outlined", "filled": "filled", "hidden": "hidden"}),
        _select("differences", "differences", {"hidden": "hidden", "filled": "filled", "outlined": "outlined"}),
        el("label", el("input", type="checkbox", id="image", checked=True), "image"),
        el("label", el("input", type="checkbox", id="closeup"), "close-up"),
        el("label", "strength", el("input", type="range", id="opacity", min=0, max=100, value=45)),
        class_="controls",
    )


def _select(identity: str, words: str, choices: Mapping[str, str]) -> Html:
    options = [el("option", name, value=value) for value, name in choices.items()]
    return el("label", words, el("select", *options, id=identity))


def _legend(rows: Sequence[Mapping[str, Any]], **attributes: object) -> Html:
    items = [
        el("li", el("span", style=f"background:rgb({','.join(map(str, one['rgb']))})"), one["name"]) for one in rows
    ]
    return el("ul", *items, **attributes)


def _asset(name: str) -> str:
    return own_text(f"report/assets/{name}")


def _rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
