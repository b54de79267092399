"""An interactive viewer of a few cases: three planes and a rendering, in an HTML file that works offline.

The page contains the volumes, so that it opens from a folder, and assets/viewer.js draws the planes. NiiVue, which
scripts/build_viewer fetches by npm, draws the rendering; without it the page has only the planes. Large volumes are
subsampled, and the page says so.
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

from mist_bundle.dataset.volumes import Volume, read_volume
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import write_text
from mist_bundle.report.case_pictures import read_case
from mist_bundle.report.colours import label_colours, rgb, structure_rgb
from mist_bundle.report.html import Html, bullets, el, join, page_head
from mist_bundle.report.pictures import MARGIN_MM, where_to_cut
from mist_bundle.report.sources import CaseFiles
from mist_bundle.report.windows import window_of
from mist_bundle.resources import PACKAGE, own_text
from mist_bundle.runtime.numerics.crop import bounding_box
from mist_bundle.runtime.numerics.grid import reorient, spacing_of

NIIVUE_VERSION = "0.69.0"
LIBRARY = "niivue.umd.js"
BUILD_COMMAND = "scripts/build_viewer"
# NiiVue reads the volumes in the page through data: and blob: addresses; nothing else is fetched
_POLICY = (
    "default-src 'none'; img-src data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:"
)
_DIFFERENCES = {1: ("missed", "#ff4d4d"), 2: ("false positive", "#ffe14d"), 3: ("wrong label", "#c77dff")}
MAX_VOXELS = 1 << 24  # of one volume


def library_text() -> str | None:
    """The source of NiiVue; None if scripts/build_viewer has not been run."""
    path = PACKAGE / "report/assets" / LIBRARY
    if not path.is_file():
        return None
    return path.read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewerCase:
    """A case in the viewer: its files, a note, and the labels of the class that the note is about."""

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
        report_name: file name of the report beside it, for the link back.

    Returns:
        A Problem for each case that cannot be read; the others are in the viewer.

    Raises:
        InputError: no case can be read.
    """
    shown = []
    problems = []
    for case in cases:
        try:
            shown.append(_shown(case, label_names, modality))
        except InputError as error:
            problems.append(Problem(case.files.id, str(error)))
    if not shown:
        raise InputError([*problems, Problem("viewer", "there is no case to show.")])
    labels = []
    for label, number in label_colours(list(label_names)).items():
        labels.append({"value": label, "name": label_names[label], "rgb": structure_rgb(number)})
    kinds = []
    for value, (name, colour) in _DIFFERENCES.items():
        kinds.append({"value": value, "name": name, "rgb": rgb(colour)})
    data = {"cases": shown, "labels": labels, "differences": kinds}
    write_text(output, _page(library_text(), data, title, report_name))
    return problems


def _shown(case: ViewerCase, label_names: Mapping[int, str], modality: str) -> dict[str, Any]:
    files = case.files
    image, reference, prediction = read_case(next(iter(files.images.values())), files)
    step = max(1, math.ceil((image.array.size / MAX_VOXELS) ** (1 / 3) - 1e-9))
    channels = []
    words: dict[str, None] = {}  # a remark on the window that several channels share is made once
    for name, path in files.images.items():
        channel = read_volume(path)
        window = window_of(channel.array, reference.array, modality, label_names.values())
        words[window.words] = None
        shown = _nifti(_subsampled(channel, step), is_label=False)
        channels.append({"name": name, "image": shown, "window": [window.low, window.high]})
    notes = [case.words, *words]
    if step > 1:
        notes.append(f"subsampled: 1 of {step} voxels along each axis")
    image = _subsampled(image, step)
    reference = _subsampled(reference, step)
    labels = [reference.array]
    volumes = {"reference": _nifti(reference, is_label=True)}
    if prediction is not None:
        prediction = _subsampled(prediction, step)
        labels.append(prediction.array)
        different = replace(reference, array=differences(reference.array, prediction.array))
        volumes["prediction"] = _nifti(prediction, is_label=True)
        volumes["differences"] = _nifti(different, is_label=True)
    return {
        "id": files.id,
        "note": "; ".join(filter(None, notes)),
        "channels": channels,
        "affine": image.affine[:3].tolist(),
        "centre": _start(labels, case.focus, image.shape),
        "box": _close_up(labels, image.affine),
        "prediction": None,
        "differences": None,
        **volumes,
    }


def _subsampled(volume: Volume, step: int) -> Volume:
    """Every `step`-th voxel of a volume, along axes that point to L, P, S as in the pictures of the report."""
    array, affine = reorient(volume.array[None], volume.affine, "LPS")
    scale = np.diag([step, step, step, 1.0])
    return replace(volume, array=array[0, ::step, ::step, ::step], affine=affine @ scale)


def _start(labels: Sequence[NDArray[Any]], focus: Sequence[int], shape: Sequence[int]) -> list[int]:
    """A voxel of the class in focus, in the axial slice that shows most of it, so that all planes cut the class."""
    cut = where_to_cut(labels, focus, shape)
    for label in labels:
        axial = label[:, :, cut[2]]
        voxels = np.argwhere(np.isin(axial, focus) if focus else axial != 0)
        if len(voxels):
            distances = np.linalg.norm(voxels - np.median(voxels, axis=0), axis=1)
            x, y = voxels[int(np.argmin(distances))].tolist()
            return [x, y, cut[2]]
    return list(cut)


def _close_up(labels: Sequence[NDArray[Any]], affine: NDArray[np.float64]) -> list[list[int]]:
    """First and last voxel (exclusive) of the box around all labels with a margin; the whole grid without labels."""
    inside = np.zeros(labels[0].shape, dtype=bool)
    for label in labels:
        inside |= label != 0
    box = bounding_box(inside)
    if box is None:
        return [[0, 0, 0], list(inside.shape)]
    margin = np.ceil(MARGIN_MM / spacing_of(affine)).astype(int)
    start = np.maximum(0, np.subtract(box[0], margin))
    stop = np.minimum(inside.shape, np.add(box[1], margin))
    return [start.tolist(), stop.tolist()]


def differences(reference: NDArray[Any], prediction: NDArray[Any]) -> NDArray[np.uint8]:
    """Where two label maps differ: 1 the prediction misses a label, 2 false positive, 3 wrong label.

    Args:
        reference: of any shape.
        prediction: of the same shape.
    """
    kinds = np.where(prediction == 0, np.uint8(1), np.where(reference == 0, np.uint8(2), np.uint8(3)))
    return np.where(reference == prediction, np.uint8(0), kinds)


def _nifti(volume: Volume, *, is_label: bool) -> str:
    """A compressed NIfTI file as base64; images as int16, scaled unless they are whole numbers."""
    import nibabel as nib

    values = np.ascontiguousarray(volume.array)
    array: NDArray[Any]
    lowest = values.min(initial=0)
    highest = values.max(initial=0)
    if is_label:
        array = values.astype(np.uint8 if lowest >= 0 and highest < 256 else np.int32)
    else:
        fits_int16 = values.dtype.kind in "iu" and int(lowest) > -32768 and int(highest) < 32768
        array = values.astype(np.int16 if fits_int16 else np.float32)
    image = nib.Nifti1Image(array, volume.affine)
    image.header.set_data_dtype(array.dtype if is_label else np.int16)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), mtime=0)).decode("ascii")


def _page(library: str | None, data: Mapping[str, Any], title: str, report_name: str) -> str:
    head = page_head(title, _asset("viewer.css"), _POLICY)
    legends = el(
        "div",
        _legend(data["labels"], id="labels"),
        _legend(data["differences"], id="kinds", hidden=True),
        class_="legends",
    )
    rendering = licence = script = None
    if library is not None:
        rendering = el("figure", el("canvas", aria_label="Rendering of the case"), id="rendering", hidden=True)
        summary = el("summary", f"NiiVue {NIIVUE_VERSION}, BSD licence")
        licence = el("details", summary, el("pre", _asset("niivue_license.txt")))
        script = el("script", Html(library))
    # escaped, so that no name in the data can end the script element
    as_json = json.dumps(data).replace("<", "\\u003c")
    body = el(
        "body",
        el(
            "header",
            el("h1", title),
            _controls(data["cases"], has_rendering=library is not None),
            legends,
            el("p", id="note", role="status"),
        ),
        el("div", rendering, id="stage"),
        el(
            "footer",
            el("span", id="place", aria_live="polite"),
            el("br"),
            "Click or drag to move the cross; turn the wheel to change the slice. ",
            el("a", "Back to the report", href=report_name),
            licence,
        ),
        el("script", Html(as_json), type="application/json", id="data"),
        script,
        el("script", Html(_asset("viewer.js"))),
    )
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _controls(cases: Sequence[Mapping[str, Any]], *, has_rendering: bool) -> Html:
    views = {"all": "all planes", "axial": "axial", "coronal": "coronal", "sagittal": "sagittal"}
    if has_rendering:
        views["render"] = "rendering"
    case_names = {}
    for index, case in enumerate(cases):
        case_names[str(index)] = case["id"]
    channel_names = {}
    for index, channel in enumerate(cases[0]["channels"]):
        channel_names[str(index)] = channel["name"]
    return el(
        "div",
        _select("case", "case", case_names),
        _select("channel", "channel", channel_names, hidden=len(channel_names) == 1),
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


def _select(identity: str, words: str, choices: Mapping[str, str], *, hidden: bool = False) -> Html:
    options = []
    for value, name in choices.items():
        options.append(el("option", name, value=value))
    return el("label", words, el("select", *options, id=identity), hidden=hidden)


def _legend(rows: Sequence[Mapping[str, Any]], **attributes: object) -> Html:
    items = []
    for row in rows:
        red, green, blue = row["rgb"]
        sample = el("span", style=f"background:rgb({red},{green},{blue})")
        items.append(join([sample, row["name"]]))
    return bullets(items, **attributes)


def _asset(name: str) -> str:
    return own_text(f"report/assets/{name}")
