"""The sections about the data: what is there, how it looks, how it is distributed, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mist_bundle.report import charts
from mist_bundle.report.case_pictures import case_figure, channels_figure, label_legend, spread_cases
from mist_bundle.report.colours import NEUTRAL, chart_colour, structure_colours
from mist_bundle.report.html import Html, details, el, hint, join, number, problem, section, table
from mist_bundle.report.sources import CaseFiles

Report = Mapping[str, Any]
Sections = list[tuple[str, str, Html]]
Row = tuple[str, Sequence[float], str]  # of a box plot

_MAX_STRUCTURES = 40  # in a chart; the table has all
_MM3_PER_ML = 1000.0


def data_sections(report: Report, files: Sequence[CaseFiles], num_pictures: int, detail_command: str) -> Sections:
    """All sections about the data.

    Args:
        report: made by `make_data_report`.
        files: of the cases, for the pictures.
        num_pictures: how many cases are shown.
        detail_command: what makes the measurements that are missing where the report has no details.
    """
    return [
        ("data", "Data", _overview(report)),
        ("pictures", "Pictures", _pictures(report, files, num_pictures)),
        ("structures", "Structures", _structures(report, detail_command)),
        ("distributions", "Distributions", _distributions(report)),
        ("left-out", "Left out", _left_out(report)),
    ]


def facts(pairs: Sequence[tuple[str, object]]) -> Html:
    """A few numbers that stand out."""
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in pairs), class_="facts")


def _overview(report: Report) -> Html:
    shape = " × ".join(number(axis["median"], 3) for axis in report["shape"].values())
    spacing = " × ".join(number(axis["median"], 3) for axis in report["spacing_mm"].values())
    shown: list[tuple[str, object]] = [
        ("usable cases", report["num_cases"]),
        ("left out", len(report["excluded"])),
        ("modality", report["modality"].upper() if report["modality"] != "other" else "other"),
        ("channels", ", ".join(report["channels"])),
        ("median size, voxels", shape),
        ("median voxel, mm", spacing),
    ]
    if report["file_bytes"]:
        shown.append(("files", _bytes(report["file_bytes"])))
    source = [
        el("p", f"{name}: ", report[key])
        for name, key in (("Source", "reference"), ("Licence", "licence"))
        if report.get(key)
    ]
    notes = [el("li", sentence) for sentence in report["observations"]]
    return section(
        "data",
        "Data",
        facts(shown),
        el("h3", "What stands out"),
        el("ul", *notes, class_="notes") if notes else el("p", "Nothing: the cases are alike and complete."),
        *source,
        lead=report.get("description") or f"The data set “{report['task']}”.",
    )


def _pictures(report: Report, files: Sequence[CaseFiles], count: int) -> Html:
    by_id = {case.id: replace(case, prediction=None) for case in files}
    chosen = [by_id[name] for name in spread_cases(report, count) if name in by_id]
    names = {int(label): name for label, name in report["label_names"].items()}
    stats = {case["id"]: case for case in report["cases"]}
    figures = [
        case_figure(case, names, report["modality"], _case_caption(stats[case.id]), whole=True) for case in chosen
    ]
    if chosen and len(report["channels"]) > 1:
        figures.append(channels_figure(chosen[len(chosen) // 2], names, report["modality"]))
    lead = (
        "Cases from the smallest to the largest labelled volume, cut where most is labelled. Letters say where the "
        "edge lies in the patient (R right, L left, A front, P back, S head, I feet); proportions are true."
    )
    if not chosen:
        return section("pictures", "Pictures", problem("No case's files were found."))
    return section("pictures", "Pictures", label_legend(names), el("div", *figures, class_="cases"), lead=lead)


def _case_caption(case: Mapping[str, Any]) -> str:
    size = " × ".join(str(length) for length in case["shape"])
    spacing = " × ".join(number(length, 3) for length in case["spacing_mm"])
    return f"{size} voxels of {spacing} mm, stored as {case['orientation']}"


def _structures(report: Report, detail_command: str) -> Html:
    rows = [_structure_row(name, stats) for name, stats in report["structures"].items()]
    head = ["structure", "labels", "in cases", "volume, ml", "smallest", "largest", "% of image", "size"]
    if report["detailed"]:
        head += ["shape", "line / plane / ball", "compactness", "parts", "most parts", "part, ml"]
    explained = el(
        "p",
        "Size is the mean share of an image that holds the structure: tiny below 0.1 %, small below 1 %, medium below "
        "5 %. Line / plane / ball say how much the structure is like a rod, a sheet or a ball (linearity, planarity, "
        "sphericity of its principal axes); they add up to 1. Compactness (36πV²/S³) is 1 for a ball and near 0 for "
        "what is thin or winding. Parts are pieces that do not touch: in the median case, and in the case with most; "
        "their size is the median.",
        class_="lead",
    )
    shown = list(report["structures"].items())[:_MAX_STRUCTURES]
    plots = [_volumes(report, shown), _shares(report, shown)]
    if report["detailed"]:
        plots.append(_parts(report, shown))
    return section(
        "structures",
        "Structures",
        table(head, rows, caption="Labels, and classes that are made of several labels", sortable=True),
        explained if report["detailed"] else hint("Shapes and lesions were not measured.", detail_command),
        charts.grid(plots),
        lead="What is labelled: how often, how large, in what shape.",
    )


def _structure_row(name: str, stats: Mapping[str, Any]) -> list[object]:
    volume, share = stats["volume_ml"] or {}, stats["percent_of_image"] or {}
    row: list[object] = [
        name,
        ", ".join(map(str, stats["labels"])),
        f"{stats['present_in']} ({stats['presence_percent']:.0f} %)",
        *(volume.get(key) for key in ("median", "min", "max")),
        share.get("mean"),
        stats["size"],
    ]
    if "shape" not in stats:
        return row
    shape = stats["shape"]
    line = " / ".join(f"{shape[key]['median']:.2f}" for key in ("linearity", "planarity", "sphericity"))
    parts, sizes = stats["components"], stats["component_mm3"]
    return [
        *row,
        f"{stats['kind']}, in a pair" if stats.get("is_paired") else stats["kind"],
        line,
        float(shape["isoperimetric_quotient"]["median"]),
        float(parts["median"]),
        float(parts["max"]),
        float(sizes["median"]) / _MM3_PER_ML,
    ]


def _volumes(report: Report, shown: Sequence[tuple[str, Any]]) -> Html:
    rows = []
    for name, _ in shown:
        values = [case["structures"][name]["volume_ml"] for case in report["cases"]]
        rows.append((name, [value for value in values if value > 0], _colour(report, name)))
    return charts.box_plot("Volume in each case", "ml", rows, log=True)


def _shares(report: Report, shown: Sequence[tuple[str, Any]]) -> Html:
    rows = []
    for name, _ in shown:
        values = []
        for case in report["cases"]:
            voxels = case["shape"][0] * case["shape"][1] * case["shape"][2]
            values.append(100 * case["structures"][name]["voxels"] / voxels)
        rows.append((name, [value for value in values if value > 0], _colour(report, name)))
    return charts.box_plot("Share of the image", "%", rows, log=True)


def _parts(report: Report, shown: Sequence[tuple[str, Any]]) -> Html:
    rows = []
    for name, _ in shown:
        sizes = []
        for case in report["cases"]:
            x, y, z = case["spacing_mm"]
            voxels = case["structures"][name].get("component_voxels", ())
            sizes += [size * x * y * z / _MM3_PER_ML for size in voxels]
        rows.append((name, sizes, _colour(report, name)))
    return charts.box_plot("Size of each connected part", "ml", rows, log=True)


def _colour(report: Report, structure: str) -> str:
    """The colour of a structure, the same in every chart and picture."""
    names = {int(label): name for label, name in report["label_names"].items()}
    classes = {name: stats["labels"] for name, stats in report["structures"].items()}
    return chart_colour(structure_colours(list(names), names, classes).get(structure, 0))


def _bytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6)):,} MB"


def _distributions(report: Report) -> Html:
    cases = report["cases"]
    axes = list(report["shape"])
    short = {"left-right": "left–right", "anterior-posterior": "front–back", "inferior-superior": "feet–head"}
    plots = [
        charts.box_plot(
            "Size",
            "voxels",
            [(short[axis], [case["shape"][i] for case in cases], NEUTRAL) for i, axis in enumerate(axes)],
        ),
        charts.box_plot(
            "Voxel spacing",
            "mm",
            [(short[axis], [case["spacing_mm"][i] for case in cases], NEUTRAL) for i, axis in enumerate(axes)],
        ),
        charts.box_plot(
            "Extent",
            "mm",
            [
                (short[axis], [case["shape"][i] * case["spacing_mm"][i] for case in cases], NEUTRAL)
                for i, axis in enumerate(axes)
            ],
        ),
    ]
    for name in report["channels"]:
        plots += _intensity_charts(report, name)
    return section(
        "distributions",
        "Distributions",
        charts.grid(plots),
        details(f"All {len(cases)} cases as a table", _case_table(report)),
        lead="Every dot is a case. Boxes hold the middle half of the cases, the thick line is the median.",
    )


def _intensity_charts(report: Report, name: str) -> list[Html]:
    """How bright the images of a channel are, as a whole and where something is labelled."""
    unit = "Hounsfield units" if report["modality"] == "ct" else "intensity"
    rows: list[Row] = [
        (words, [case["channels"][name][key] for case in report["cases"]], NEUTRAL)
        for words, key in (("0.5 percentile", "low"), ("mean", "mean"), ("99.5 percentile", "high"))
    ]
    if not _differ_by_scale(rows):
        bars = report["channels"][name]["labelled_histogram"]
        beyond = f", {number(100 * bars['beyond'], 2)} % lie beyond" if bars["beyond"] > 0.01 else ""
        title = f"{name}: labelled voxels{beyond}"
        return [
            charts.histogram(title, unit, bars["edges"], bars["counts"], "voxels"),
            charts.box_plot(f"{name}: whole images", unit, rows),
            charts.box_plot(f"{name}: mean inside", unit, _inside(report, name, relative=False)),
        ]
    # a linear axis would show one dot and a line, and a histogram of all cases one bar
    rows = [row for row in rows if min(row[1]) > 0]
    return [
        charts.box_plot(f"{name}: whole images", unit, rows, log=True),
        charts.box_plot(f"{name}: mean inside", "times the mean of the image", _inside(report, name, relative=True)),
    ]


def _inside(report: Report, channel: str, *, relative: bool) -> list[Row]:
    """The mean intensity inside each structure in each case that has it, where that was measured."""
    rows: list[Row] = []
    for name in list(report["structures"])[:_MAX_STRUCTURES]:
        values = []
        for case in report["cases"]:
            found = case["structures"][name].get("intensity", {}).get(channel)
            whole = case["channels"][channel]["mean"] if relative else 1.0
            if found and whole:
                values.append(found[0] / whole)
        rows.append((name, values, _colour(report, name)))
    return rows


def _differ_by_scale(rows: Sequence[Row]) -> bool:
    highest = rows[-1][1] if rows else []
    return bool(highest) and min(highest) > 0 and max(highest) > 20 * min(highest)


def _case_table(report: Report) -> Html:
    names = list(report["structures"])
    head = ["case", "voxels", "spacing, mm", "stored as", "oblique, °", *(f"{name}, ml" for name in names)]
    rows = [
        [
            case["id"],
            " × ".join(str(length) for length in case["shape"]),
            " × ".join(number(length, 3) for length in case["spacing_mm"]),
            case["orientation"],
            float(case["oblique_degrees"]),
            *(float(case["structures"][name]["volume_ml"]) for name in names),
        ]
        for case in report["cases"]
    ]
    return table(head, rows, caption="Cases", sortable=True)


def _left_out(report: Report) -> Html:
    excluded = [[problem["path"], problem["message"]] for problem in report["excluded"]]
    findings = [[problem["path"], problem["message"]] for problem in report["findings"]]
    nothing = el("p", "No case was left out.")
    return section(
        "left-out",
        "Left out, and oddities",
        table(["case", "why it was left out"], excluded, caption="Cases that are not used", stacked=True)
        if excluded
        else nothing,
        join(
            [el("h3", "Used all the same"), table(["case", "what is odd"], findings, caption="Oddities", stacked=True)]
        )
        if findings
        else None,
    )
