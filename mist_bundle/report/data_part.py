"""The sections about the data: overview, pictures, structures, distributions, and excluded cases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mist_bundle.dataset.fold_table import FoldTable
from mist_bundle.report import charts
from mist_bundle.report.case_pictures import case_figure, channels_figure, label_legend, spread_cases
from mist_bundle.report.colours import NEUTRAL, chart_colour, structure_colours
from mist_bundle.report.html import Html, bullets, details, el, facts, hint, number, problem, section, table
from mist_bundle.report.sources import CaseFiles
from mist_bundle.runtime.wording import format_bytes

Report = Mapping[str, Any]
Sections = list[tuple[str, str, Html]]
Row = tuple[str, Sequence[float], str]  # of a box plot

_MAX_STRUCTURES = 40  # in a chart; the table lists all
_SHORT_AXES = {"left-right": "left–right", "anterior-posterior": "front–back", "inferior-superior": "feet–head"}
_MM3_PER_ML = 1000.0
_DIFFERENT_SCALES = 20.0  # ratio between the brightest images of a channel


def data_sections(report: Report, files: Sequence[CaseFiles], num_pictures: int, detail_command: str) -> Sections:
    """All sections about the data.

    Args:
        report: result of `make_data_report`.
        files: of the cases, for the pictures.
        num_pictures: number of cases with pictures.
        detail_command: command that measures the details, shown where the report has none.
    """
    return [
        ("data", "Data", _overview(report)),
        ("pictures", "Pictures", _pictures(report, files, num_pictures)),
        ("structures", "Structures", _structures(report, detail_command)),
        ("distributions", "Distributions", _distributions(report)),
        *_folds(report),
        ("excluded", "Excluded", _excluded(report)),
    ]


def _folds(report: Report) -> Sections:
    content = report.get("fold_table")
    if not content:
        return []
    folds = FoldTable.from_json(content)
    lead = "What each fold holds: of a class, the cases with it and its median volume in these."
    rows = list(map(list, folds.rows))
    return [("folds", "Folds", section("folds", "Folds", table(folds.head, rows), lead=lead))]


def _overview(report: Report) -> Html:
    modality = report["modality"]
    values: list[tuple[str, object]] = [
        ("usable cases", report["num_cases"]),
        ("excluded", len(report["excluded"])),
        ("modality", "other" if modality == "other" else modality.upper()),
        ("channels", ", ".join(report["channels"])),
        ("median size, voxels", _medians(report["shape"])),
        ("median voxel, mm", _medians(report["spacing_mm"])),
    ]
    if report["file_bytes"]:
        values.append(("files", format_bytes(report["file_bytes"])))
    observations = el("p", "None: the cases are similar and complete.")
    if report["observations"]:
        observations = bullets(report["observations"], class_="notes")
    sources = []
    for name, key in (("Source", "reference"), ("Licence", "licence")):
        if report.get(key):
            sources.append(el("p", f"{name}: ", report[key]))
    return section(
        "data",
        "Data",
        facts(values),
        el("h3", "Observations"),
        observations,
        *sources,
        lead=report.get("description") or f"The dataset “{report['task']}”.",
    )


def _medians(by_axis: Mapping[str, Any]) -> str:
    return _times(axis["median"] for axis in by_axis.values())


def _times(values: Iterable[float]) -> str:
    """Numbers along three axes: "1 × 1 × 3.5"."""
    return " × ".join(map(number, values))


def _pictures(report: Report, files: Sequence[CaseFiles], count: int) -> Html:
    files_by_id = {case.id: case for case in files}
    stats_by_id = {case["id"]: case for case in report["cases"]}
    label_names = _label_names(report)
    shown = []
    figures = []
    for case_id in spread_cases(report, count):
        if case_id in files_by_id:
            case = replace(files_by_id[case_id], prediction=None)
            shown.append(case)
            caption = _case_caption(stats_by_id[case_id])
            figures.append(case_figure(case, label_names, report["modality"], caption, whole=True))
    if not shown:
        return section("pictures", "Pictures", problem("The files of the cases are not available."))
    if len(report["channels"]) > 1:
        middle = shown[len(shown) // 2]
        figures.append(channels_figure(middle, label_names, report["modality"]))
    lead = (
        "Cases from the smallest to the largest labelled volume, in slices through the largest extent of their labels. "
        "Letters mark directions in the patient (R right, L left, A front, P back, S head, I feet). Proportions are "
        "true."
    )
    return section("pictures", "Pictures", label_legend(label_names), el("div", *figures, class_="cases"), lead=lead)


def _label_names(report: Report) -> dict[int, str]:
    names = report["label_names"]
    return dict(zip(map(int, names), names.values(), strict=True))


def _case_caption(case: Mapping[str, Any]) -> str:
    size = " × ".join(map(str, case["shape"]))
    return f"{size} voxels of {_times(case['spacing_mm'])} mm, stored as {case['orientation']}"


def _structures(report: Report, detail_command: str) -> Html:
    rows = list(itertools.starmap(_structure_row, report["structures"].items()))
    head = ["structure", "labels", "in cases", "volume, ml", "smallest", "largest", "% of image", "size"]
    if report["detailed"]:
        head += ["shape", "line / plane / ball", "compactness", "parts", "most parts", "part, ml"]
    explained = el(
        "p",
        "Size is the mean share of the images that show the structure: tiny below 0.1 %, small below 1 %, medium below "
        "5 %. Line / plane / ball measure how similar the structure is to a rod, a sheet or a ball (linearity, "
        "planarity, sphericity of its principal axes); they add up to 1. Compactness (36πV²/S³) is 1 for a ball and "
        "near 0 for thin or winding structures. Parts are separate pieces: in the median case, and in the case with "
        "most of them; their size is the median.",
        class_="lead",
    )
    plots = [
        _structure_plot(report, "Volume in each case", "ml", _volume_ml),
        _structure_plot(report, "Share of the image", "%", _percent_of_image),
    ]
    if report["detailed"]:
        plots.append(_structure_plot(report, "Size of each connected part", "ml", _part_sizes_ml))
    return section(
        "structures",
        "Structures",
        table(head, rows, caption="Labels, and classes of several labels", sortable=True),
        explained if report["detailed"] else hint("Shapes and lesions were not measured.", detail_command),
        charts.grid(plots),
        lead="Frequency, size and shape of the labelled structures.",
    )


def _structure_row(name: str, stats: Mapping[str, Any]) -> list[object]:
    volume = stats["volume_ml"] or {}
    share = stats["percent_of_image"] or {}
    row: list[object] = [
        name,
        ", ".join(map(str, stats["labels"])),
        f"{stats['present_in']} ({stats['presence_percent']:.0f} %)",
        volume.get("median"),
        volume.get("min"),
        volume.get("max"),
        share.get("mean"),
        stats["size"],
    ]
    if "shape" not in stats:
        return row
    shape = stats["shape"]
    kind = stats["kind"]
    if stats.get("is_paired"):
        kind = f"{kind}, paired"
    ratios = [f"{shape[key]['median']:.2f}" for key in ("linearity", "planarity", "sphericity")]
    return [
        *row,
        kind,
        " / ".join(ratios),
        float(shape["isoperimetric_quotient"]["median"]),
        float(stats["components"]["median"]),
        float(stats["components"]["max"]),
        float(stats["component_mm3"]["median"]) / _MM3_PER_ML,
    ]


def _structure_plot(
    report: Report, title: str, unit: str, values_of: Callable[[Mapping[str, Any], str], list[float]]
) -> Html:
    """A box plot with a row for each structure; `values_of` takes a case and the name of the structure."""
    rows: list[Row] = []
    for name in list(report["structures"])[:_MAX_STRUCTURES]:
        values: list[float] = []
        for case in report["cases"]:
            values += values_of(case, name)
        rows.append((name, values, _colour(report, name)))
    return charts.box_plot(title, unit, rows, log=True)


def _volume_ml(case: Mapping[str, Any], structure: str) -> list[float]:
    volume_ml = case["structures"][structure]["volume_ml"]
    return [volume_ml] if volume_ml > 0 else []


def _percent_of_image(case: Mapping[str, Any], structure: str) -> list[float]:
    voxels = case["structures"][structure]["voxels"]
    return [100 * voxels / math.prod(case["shape"])] if voxels else []


def _part_sizes_ml(case: Mapping[str, Any], structure: str) -> list[float]:
    voxels = case["structures"][structure].get("component_voxels", ())
    voxel_ml = math.prod(case["spacing_mm"]) / _MM3_PER_ML
    sizes: list[float] = np.multiply(voxels, voxel_ml).tolist()
    return sizes


def _colour(report: Report, structure: str) -> str:
    """The colour of a structure, the same in every chart and picture."""
    names = _label_names(report)
    members = {name: stats["labels"] for name, stats in report["structures"].items()}
    return chart_colour(structure_colours(list(names), names, members).get(structure, 0))


def _distributions(report: Report) -> Html:
    shape_rows = []
    spacing_rows = []
    for case in report["cases"]:
        shape_rows.append(case["shape"])
        spacing_rows.append(case["spacing_mm"])
    shapes = np.array(shape_rows)
    spacings_mm = np.array(spacing_rows)
    plots = [
        _axes_plot(report, "Size", "voxels", shapes),
        _axes_plot(report, "Voxel spacing", "mm", spacings_mm),
        _axes_plot(report, "Extent", "mm", shapes * spacings_mm),
    ]
    for name in report["channels"]:
        plots += _intensity_charts(report, name)
    return section(
        "distributions",
        "Distributions",
        charts.grid(plots),
        details(f"All {len(shapes)} cases as a table", _case_table(report)),
        lead="Every dot is a case. Boxes hold the middle half of the cases; the thick line is the median.",
    )


def _axes_plot(report: Report, title: str, unit: str, values: np.ndarray) -> Html:
    """A box plot of (cases, axes) with a row for each axis."""
    rows: list[Row] = []
    for axis, column in zip(report["shape"], values.T, strict=True):
        rows.append((_SHORT_AXES[axis], column.tolist(), NEUTRAL))
    return charts.box_plot(title, unit, rows)


def _intensity_charts(report: Report, name: str) -> list[Html]:
    """The intensities of a channel in whole images and inside the structures."""
    unit = "Hounsfield units" if report["modality"] == "ct" else "intensity"
    lows, means, highs = [], [], []
    for case in report["cases"]:
        channel = case["channels"].get(name)
        if channel is None:
            continue  # an optional channel that the case lacks
        lows.append(channel["low"])
        means.append(channel["mean"])
        highs.append(channel["high"])
    rows: list[Row] = [
        ("0.5 percentile", lows, NEUTRAL),
        ("mean", means, NEUTRAL),
        ("99.5 percentile", highs, NEUTRAL),
    ]
    if min(highs) > 0 and max(highs) > _DIFFERENT_SCALES * min(highs):
        # a linear axis would squeeze most cases into a point, and the histogram into a bar
        positive = [row for row in rows if min(row[1]) > 0]
        inside = _inside(report, name, relative=True)
        return [
            charts.box_plot(f"{name}: whole images", unit, positive, log=True),
            charts.box_plot(f"{name}: mean inside", "times the mean of the image", inside),
        ]
    bars = report["channels"][name]["labelled_histogram"]
    title = f"{name}: labelled voxels"
    if bars["beyond"] > 0.01:
        title = f"{title}, {number(100 * bars['beyond'], 2)} % lie beyond"
    return [
        charts.histogram(title, unit, bars["edges"], bars["counts"], "voxels"),
        charts.box_plot(f"{name}: whole images", unit, rows),
        charts.box_plot(f"{name}: mean inside", unit, _inside(report, name, relative=False)),
    ]


def _inside(report: Report, channel: str, *, relative: bool) -> list[Row]:
    """The mean intensity inside each structure in each case, if it was measured."""
    rows: list[Row] = []
    for name in list(report["structures"])[:_MAX_STRUCTURES]:
        values = []
        for case in report["cases"]:
            intensity = case["structures"][name].get("intensity", {})
            if channel not in intensity:
                continue
            scale = case["channels"][channel]["mean"] if relative else 1.0
            if scale:
                mean, _ = intensity[channel]
                values.append(mean / scale)
        rows.append((name, values, _colour(report, name)))
    return rows


def _case_table(report: Report) -> Html:
    head = ["case", "voxels", "spacing, mm", "stored as", "oblique, °"]
    for name in report["structures"]:
        head.append(f"{name}, ml")
    rows = []
    for case in report["cases"]:
        row: list[object] = [
            case["id"],
            " × ".join(map(str, case["shape"])),
            _times(case["spacing_mm"]),
            case["orientation"],
            float(case["oblique_degrees"]),
        ]
        for name in report["structures"]:
            row.append(float(case["structures"][name]["volume_ml"]))
        rows.append(row)
    return table(head, rows, caption="Cases", sortable=True)


def _excluded(report: Report) -> Html:
    parts = [el("p", "No case was excluded.")]
    if report["excluded"]:
        parts = [_problem_table(report["excluded"], "reason", "Excluded cases")]
    if report["findings"]:
        parts.append(el("h3", "Warnings about cases that are used"))
        parts.append(_problem_table(report["findings"], "warning", "Warnings"))
    return section("excluded", "Excluded cases and warnings", *parts)


def _problem_table(problems: Sequence[Mapping[str, str]], heading: str, caption: str) -> Html:
    rows = [(row["path"], row["message"]) for row in problems]
    return table(["case", heading], rows, caption=caption, stacked=True)
