"""A picture of predictions: image, reference and prediction side by side, in the colours of the report."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mist_bundle.bundle.folder import Bundle
from mist_bundle.files import RESULTS_CSV
from mist_bundle.report.case_pictures import read_case
from mist_bundle.report.colours import label_colours, label_names_of, structure_colour, structure_rgb
from mist_bundle.report.pictures import PLANES, edge_letters, plane_view, where_to_cut
from mist_bundle.report.score_table import ScoreTable
from mist_bundle.report.sources import CaseFiles, files_of_bundle
from mist_bundle.report.windows import Window, window_of
from mist_bundle.runtime.metrics.table import read_results
from mist_bundle.runtime.numerics.grid import reorient, spacing_of

MAX_CASES = 4
PICTURE = "examples.png"
_STRENGTH = 0.5  # of the colours over the image


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """A slice: (rows, columns) arrays with the first row at the top."""

    title: str
    image: NDArray[Any]
    label: NDArray[Any]
    prediction: NDArray[Any]
    window: Window
    height_over_width: float
    letters: tuple[str, str, str, str]


def draw_examples(bundle: Bundle) -> Path:
    """Draw a few held-out cases with predictions, alternating between the folds.

    Returns:
        The PNG in the work folder. Each row is a case: the image alone, with the reference, and with the prediction.

    Raises:
        InputError: the plan, the datalist or an image cannot be read.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    plan = bundle.plan
    names = label_names_of(plan)
    scores = _mean_dice(bundle.work_dir / RESULTS_CSV, plan.final_classes)
    predicted = []
    for case in files_of_bundle(bundle):
        if case.are_there and case.prediction is not None:
            predicted.append(case)
    cases = in_turn(predicted)[:MAX_CASES]
    num_rows = max(1, len(cases))
    figure, axes = pyplot.subplots(num_rows, 3, figsize=(9, 3 * num_rows + 0.6), squeeze=False, layout="constrained")
    for row, case in zip(axes, cases, strict=False):
        shown = _slice(case, plan.modality, names, scores.get(case.id))
        _draw_row(row, shown, label_colours(plan.labels))
    for axis in axes.ravel():
        axis.set_axis_off()
    _legend(figure, names)
    path = bundle.work_dir / PICTURE
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def in_turn(cases: Sequence[CaseFiles]) -> list[CaseFiles]:
    """The first case of each fold, then the second of each, and so on."""
    by_fold: dict[int | None, list[CaseFiles]] = {}
    for case in cases:
        by_fold.setdefault(case.fold, []).append(case)
    folds = sorted(by_fold.values(), key=lambda members: -1 if members[0].fold is None else members[0].fold)
    ordered: list[CaseFiles] = []
    for members in itertools.zip_longest(*folds):
        ordered += filter(None, members)
    return ordered


def _mean_dice(results: Path, classes: Iterable[str]) -> dict[str, float]:
    """Case id -> mean Dice over the classes; cases without a score are left out."""
    if not results.is_file():
        return {}
    table = ScoreTable(read_results(results), classes)
    means = table.case_means("dice").dropna()
    return dict(zip(map(str, means.index), means.tolist(), strict=True))


def _slice(case: CaseFiles, modality: str, names: Mapping[int, str], dice: float | None) -> _Shown:
    """The slice across the coarsest axis that shows most of the labels.

    Raises:
        InputError: a file cannot be read, or lies on another grid.
    """
    volumes = []
    spacing = np.ones(3)
    for volume in read_case(next(iter(case.images.values())), case):
        if volume is not None:
            array, affine = reorient(volume.array[None], volume.affine, "LPS")
            volumes.append(array[0])
            spacing = spacing_of(affine)
    image, label, prediction = volumes
    # axial where no axis is coarser than the others
    through = max((2, 1, 0), key=lambda axis: round(float(spacing[axis]), 3))
    plane = ("sagittal", "coronal", "axial")[through]
    _, across, down, _ = PLANES[plane]
    index = where_to_cut([label, prediction], (), label.shape)[through]
    title = f"{case.id}, {plane}"
    if dice is not None:
        title = f"{title}, mean Dice {dice:.2f}"
    return _Shown(
        title=title,
        image=plane_view(image, plane, index),
        label=plane_view(label, plane, index),
        prediction=plane_view(prediction, plane, index),
        window=window_of(image, label, modality, names.values()),
        height_over_width=float(spacing[down] / spacing[across]),
        letters=edge_letters(plane),
    )


def _draw_row(row: Any, shown: _Shown, colours: Mapping[int, int]) -> None:
    window = shown.window
    high = max(window.high, window.low + 1e-6)
    columns = ((shown.title, None), ("reference", shown.label), ("prediction", shown.prediction))
    for axes, (title, mask) in zip(row, columns, strict=True):
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
        pixels[mask == label] = (*np.divide(structure_rgb(number), 255), _STRENGTH)
    return pixels


def _legend(figure: Any, names: Mapping[int, str]) -> None:
    from matplotlib.patches import Patch

    handles = []
    for label, number in label_colours(list(names)).items():
        handles.append(Patch(color=structure_colour(number), label=names[label]))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), fontsize=9, frameon=False)
