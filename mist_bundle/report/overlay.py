"""A picture of predictions: image, reference and prediction beside each other, for people who would rather look.

Slices are shown as radiologists do, in the colours of the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.dataset.volumes import read_volume
from mist_bundle.files import PLAN_JSON, RESULTS_CSV, read_json
from mist_bundle.report.colours import OVERLAY_COLOURS, label_colours
from mist_bundle.report.pictures import PLANES, edge_letters, plane_view, where_to_cut
from mist_bundle.report.sources import CaseFiles, files_of_bundle
from mist_bundle.report.windows import Window, window_of
from mist_bundle.runtime.metrics.columns import split_columns
from mist_bundle.runtime.metrics.table import ID, read_results
from mist_bundle.runtime.numerics.grid import reorient, spacing_of

MAX_CASES = 4
PICTURE = "examples.png"
_STRENGTH = 0.5  # of the colours over the image


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """One slice: (rows, columns) arrays with the first row at the top, and the sides of its pixels in mm."""

    title: str
    image: NDArray[Any]
    label: NDArray[Any]
    prediction: NDArray[Any]
    window: Window
    height_over_width: float
    letters: tuple[str, str, str, str]


def draw_examples(bundle: Path, work_dir: Path) -> Path:
    """Draw a few held-out cases that have predictions, of each fold in turn.

    Args:
        bundle: the bundle, for its datalist and its plan.
        work_dir: its work folder, with fold_*/predictions/<id>.nii.gz.

    Returns:
        The PNG in the work folder. Each row is a case: the image alone, with the reference, with the prediction.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    plan = read_json(bundle / PLAN_JSON)
    names = dict(zip(plan["labels"], plan["label_names"], strict=True))
    scores = _mean_dice(work_dir / RESULTS_CSV, plan["final_classes"])
    cases = in_turn([case for case in files_of_bundle(bundle, plan["channel_names"]) if _is_there(case)])[:MAX_CASES]
    rows = max(1, len(cases))
    figure, axes = pyplot.subplots(rows, 3, figsize=(9, 3 * rows + 0.6), squeeze=False, layout="constrained")
    for row, case in zip(axes, cases, strict=False):
        _draw_row(row, _slice(case, plan["modality"], names, scores.get(case.id)), label_colours(plan["labels"]))
    for axis in axes.ravel():
        axis.set_axis_off()
    _legend(figure, names)
    path = work_dir / PICTURE
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def in_turn(cases: Sequence[CaseFiles]) -> list[CaseFiles]:
    """The first case of each fold, then the second of each, and so on."""
    place: dict[int | None, int] = {}
    keys = []
    for case in cases:
        place[case.fold] = place.get(case.fold, -1) + 1
        keys.append((place[case.fold], -1 if case.fold is None else case.fold))
    return [case for _, case in sorted(zip(keys, cases, strict=True), key=lambda pair: pair[0])]


def _is_there(case: CaseFiles) -> bool:
    needed = (case.prediction, case.label, next(iter(case.images.values())))
    return all(path is not None and path.is_file() for path in needed)


def _mean_dice(results: Path, classes: Iterable[str]) -> dict[str, float]:
    if not results.is_file():
        return {}
    found = {}
    rows = read_results(results)
    split = split_columns([column for column in rows[0] if column != ID], classes)
    columns = [column for column, (_, metric) in split.items() if metric == "dice"]
    for row in rows:
        values = [row[column] for column in columns if math.isfinite(row[column])]
        if values:
            found[str(row[ID])] = float(np.mean(values))
    return found


def _slice(case: CaseFiles, modality: str, names: Mapping[int, str], dice: float | None) -> _Shown:
    """The slice across the coarsest axis that shows most of the labels."""
    assert case.prediction is not None
    source = read_volume(next(iter(case.images.values())))
    image, label, prediction = (
        reorient(volume.array[None], source.affine, "LPS")[0][0]
        for volume in (source, *(read_volume(path).on_grid_of(source) for path in (case.label, case.prediction)))
    )
    spacing = spacing_of(reorient(source.array[None], source.affine, "LPS")[1])
    # axial where no axis is coarser than the others
    through = max((2, 1, 0), key=lambda axis: round(float(spacing[axis]), 3))
    plane, (_, across, down, _) = next((name, axes) for name, axes in PLANES.items() if axes[0] == through)
    index = where_to_cut([label, prediction], (), label.shape)[through]
    score = "" if dice is None else f", mean Dice {dice:.2f}"
    return _Shown(
        title=f"{case.id}, {plane}{score}",
        image=plane_view(image, plane, index),
        label=plane_view(label, plane, index),
        prediction=plane_view(prediction, plane, index),
        window=window_of(image, label, modality, names.values()),
        height_over_width=float(spacing[down] / spacing[across]),
        letters=edge_letters(plane),
    )


def _draw_row(row: Any, shown: _Shown, colours: Mapping[int, int]) -> None:
    window = shown.window
    for axes, mask, title in zip(
        row, (None, shown.label, shown.prediction), (shown.title, "reference", "prediction"), strict=True
    ):
        high = max(window.high, window.low + 1e-6)
        axes.imshow(shown.image, cmap="gray", vmin=window.low, vmax=high, aspect=shown.height_over_width)
        if mask is not None:
            axes.imshow(_coloured(mask, colours), aspect=shown.height_over_width, interpolation="nearest")
        axes.set_title(title, fontsize=9)
    places = ((0.03, 0.5), (0.97, 0.5), (0.5, 0.96), (0.5, 0.04))
    for letter, (x, y) in zip(shown.letters, places, strict=True):
        row[0].text(x, y, letter, transform=row[0].transAxes, color="white", fontsize=8, ha="center", va="center")


def _coloured(mask: NDArray[Any], colours: Mapping[int, int]) -> NDArray[np.float64]:
    """(rows, columns, 4) RGBA from 0 to 1."""
    pixels = np.zeros((*mask.shape, 4))
    for label, number in colours.items():
        pixels[mask == label] = (*_rgb(number), _STRENGTH)
    return pixels


def _legend(figure: Any, names: Mapping[int, str]) -> None:
    from matplotlib.patches import Patch

    colours = label_colours(list(names))
    handles = [Patch(color=_rgb(number), label=names[label]) for label, number in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), fontsize=9, frameon=False)


def _rgb(number: int) -> tuple[float, float, float]:
    colour = OVERLAY_COLOURS[number % len(OVERLAY_COLOURS)]
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue
