"""An interactive viewer of a few cases: three planes and a rendering, in one HTML file that works without a network.

The volumes stand in the page itself, so that it opens from a folder; the library is NiiVue, fetched by npm with
scripts/build_viewer. Large volumes are thinned out, and the page says so.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.artifacts import write_text
from mist_bundle.dataset.integrity import check_headers
from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.report.colours import OVERLAY_COLOURS, label_colours
from mist_bundle.report.html import Html, el, page_head
from mist_bundle.report.sources import CaseFiles
from mist_bundle.report.windows import window_of
from mist_bundle.resources import PACKAGE, own_text
from mist_bundle.runtime.numerics.crop import bounding_box

NIIVUE_VERSION = "0.69.0"
LIBRARY = "niivue.umd.js"
BUILD_COMMAND = "scripts/build_viewer"
# the library unpacks what stands in the page by data: and blob: addresses; nothing is fetched from anywhere else
_POLICY = (
    "default-src 'none'; img-src data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:"
)
_DIFFERENCES = {1: ("missed", "#ff4d4d"), 2: ("too much", "#ffe14d"), 3: ("another label", "#c77dff")}
MAX_VOXELS = 1 << 24  # of one volume


def library_text() -> str | None:
    """The source of NiiVue; None where scripts/build_viewer has not been run."""
    path = PACKAGE / "report/assets" / LIBRARY
    return path.read_text(encoding="utf-8") if path.is_file() else None


def write_viewer(
    output: Path,
    cases: Sequence[tuple[str, CaseFiles]],
    label_names: Mapping[int, str],
    modality: str,
    title: str,
    report_name: str,
) -> list[Problem]:
    """Write the viewer.

    Args:
        output: the HTML file.
        cases: what is said about each case, and its files; the first is shown first.
        label_names: label value -> name.
        modality: ct, mr or other.
        title: of the page.
        report_name: file name of the report beside it, for the way back.

    Returns:
        The cases that could not be read; the others are in the viewer.

    Raises:
        InputError: the library is not there, or no case could be read.
    """
    library = library_text()
    if library is None:
        raise InputError(Problem("viewer", f"needs NiiVue; fetch it with {BUILD_COMMAND}."))
    shown, problems = [], []
    for words, case in cases:
        try:
            shown.append(_case(words, case, modality))
        except InputError as error:
            problems.append(Problem(case.id, str(error)))
    if not shown:
        raise InputError([*problems, Problem("viewer", "there is no case to show.")])
    colours = [
        {"value": label, "name": label_names[label], "rgb": _rgb(OVERLAY_COLOURS[index % len(OVERLAY_COLOURS)])}
        for label, index in label_colours(list(label_names)).items()
    ]
    kinds = [{"value": value, "name": name, "rgb": _rgb(colour)} for value, (name, colour) in _DIFFERENCES.items()]
    write_text(output, _page(library, {"cases": shown, "labels": colours, "differences": kinds}, title, report_name))
    return problems


def _case(words: str, case: CaseFiles, modality: str) -> dict[str, Any]:
    image, reference = read_volume(next(iter(case.images.values()))), read_volume(case.label)
    prediction = None if case.prediction is None else read_volume(case.prediction)
    reference = reference.on_grid_of(image)
    prediction = None if prediction is None else prediction.on_grid_of(image)
    for other in (reference, prediction):
        findings = [] if other is None else check_headers(image, other)
        if findings:
            raise InputError([Problem(case.id, finding) for finding in findings])
    window = window_of(image.array, reference.array, modality)
    step = max(1, math.ceil((image.array.size / MAX_VOXELS) ** (1 / 3) - 1e-9))
    note = words if step == 1 else f"{words}; thinned out: one voxel of {step} along each axis"
    return {
        "id": case.id,
        "note": note,
        "window": [window.low, window.high],
        "centre_mm": _centre(reference),
        "image": _nifti(image, step, is_label=False),
        "reference": _nifti(reference, step, is_label=True),
        "prediction": None if prediction is None else _nifti(prediction, step, is_label=True),
        "differences": None
        if prediction is None
        else _nifti(replace(reference, array=differences(reference.array, prediction.array)), step, is_label=True),
    }


def differences(reference: NDArray[Any], prediction: NDArray[Any]) -> NDArray[np.uint8]:
    """Where two label maps differ: 1 the prediction misses a label, 2 invents one, 3 has another.

    Args:
        reference: of any shape.
        prediction: of the same shape.
    """
    kinds = np.where(prediction == 0, np.uint8(1), np.where(reference == 0, np.uint8(2), np.uint8(3)))
    return np.where(reference == prediction, np.uint8(0), kinds)


def _centre(label: Volume) -> list[float]:
    """Middle of what is labelled, or of the image, in millimetres."""
    box = bounding_box(np.asarray(label.array != 0)) or ((0, 0, 0), label.shape)
    middle = [(start + stop - 1) / 2 for start, stop in zip(*box, strict=True)]
    return [float(place) for place in (label.affine @ [*middle, 1.0])[:3]]


def _nifti(volume: Volume, step: int, *, is_label: bool) -> str:
    """A compressed NIfTI file as base64; images as int16, scaled where they are no whole numbers."""
    import nibabel as nib

    thinned = np.ascontiguousarray(volume.array[::step, ::step, ::step])
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    array: NDArray[Any]
    if is_label:
        array = thinned.astype(np.uint8 if thinned.max(initial=0) < 256 else np.int32)
    else:
        whole = thinned.dtype.kind in "iu" and abs(int(thinned.min())) < 32768 and abs(int(thinned.max())) < 32768
        array = thinned.astype(np.int16 if whole else np.float32)
    image = nib.Nifti1Image(array, affine)
    image.header.set_data_dtype(array.dtype if is_label else np.int16)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), mtime=0)).decode("ascii")


def _page(library: str, data: Mapping[str, Any], title: str, report_name: str) -> str:
    options = [el("option", case["id"], value=index) for index, case in enumerate(data["cases"])]
    views = [
        el("option", words, value=value)
        for value, words in (
            ("all", "all planes and rendering"),
            ("axial", "axial"),
            ("coronal", "coronal"),
            ("sagittal", "sagittal"),
            ("render", "rendering"),
        )
    ]
    boxes = [
        el("label", el("input", type="checkbox", id=name, checked=checked), name)
        for name, checked in (
            ("image", True),
            ("reference", True),
            ("prediction", True),
            ("differences", False),
            ("outline", False),
        )
    ]
    controls = el(
        "div",
        el("label", "case", el("select", *options, id="case")),
        el("label", "view", el("select", *views, id="view")),
        *boxes,
        el("label", "strength", el("input", type="range", id="opacity", min=0, max=100, value=50)),
        class_="controls",
    )
    head = page_head(title, _asset("viewer.css"), _POLICY)
    body = el(
        "body",
        el(
            "header",
            el("h1", title),
            controls,
            _legend(data["labels"], id="labels"),
            _legend(data["differences"], id="kinds", hidden=True),
            el("p", id="note", role="status"),
        ),
        el("div", el("canvas", id="canvas", tabindex=0, aria_label="Slices and rendering of the case"), id="stage"),
        el(
            "footer",
            el("span", "Click into a slice to read its position.", id="place"),
            " · ",
            el("a", "Back to the report", href=report_name),
            el(
                "details",
                el("summary", f"NiiVue {NIIVUE_VERSION}, BSD licence"),
                el("pre", _asset("niivue_license.txt")),
            ),
        ),
        # "<" cannot end the script element when it is written as an escape
        el("script", Html(json.dumps(data).replace("<", "\\u003c")), type="application/json", id="data"),
        el("script", Html(library)),
        el("script", Html(_asset("viewer.js"))),
    )
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _legend(rows: Sequence[Mapping[str, Any]], **attributes: object) -> Html:
    items = [
        el("li", el("span", style=f"background:rgb({','.join(map(str, one['rgb']))})"), one["name"]) for one in rows
    ]
    return el("ul", *items, **attributes)


def _asset(name: str) -> str:
    return own_text(f"report/assets/{name}")


def _rgb(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
