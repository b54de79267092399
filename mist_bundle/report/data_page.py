"""The outputs of the analyze command: data_report.json, data_report.md and data_report.html."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.dataset.fold_table import FoldTable
from mist_bundle.files import write_json, write_text
from mist_bundle.report.data_part import data_sections
from mist_bundle.report.html import document, number
from mist_bundle.report.sources import CaseFiles
from mist_bundle.runtime.wording import format_bytes

DATA_REPORT_JSON = "data_report.json"
DATA_REPORT_MD = "data_report.md"
DATA_REPORT_HTML = "data_report.html"
ANALYZE = "mist-bundle analyze dataset.json --output DIR"


def write_data_report(output: Path, report: Mapping[str, Any], files: Sequence[CaseFiles], num_pictures: int) -> None:
    """Write the three files into a folder.

    Args:
        output: the folder.
        report: result of `make_data_report`.
        files: of the cases, for the pictures.
        num_pictures: number of cases with pictures.
    """
    page = data_page(report, files, num_pictures)
    write_json(output / DATA_REPORT_JSON, report)
    write_text(output / DATA_REPORT_MD, data_markdown(report))
    write_text(output / DATA_REPORT_HTML, page)


def data_page(report: Mapping[str, Any], files: Sequence[CaseFiles], num_pictures: int) -> str:
    """The page as HTML text."""
    title = f"Data: {report['task']}"
    foot = f"Written by mist-bundle analyze. {DATA_REPORT_JSON} beside this page holds the same numbers."
    sections = data_sections(report, files, num_pictures, ANALYZE)
    return document(title, f"{report['num_cases']} cases, measured before training", sections, foot=foot)


def data_markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown, without pictures, for a terminal, a notebook or a language model."""
    head = f"# Data: {report['task']}\n\n{report['description']}".rstrip()
    size = format_bytes(report["file_bytes"]) if report["file_bytes"] else "not measured"
    overview = [
        ("usable cases", report["num_cases"]),
        ("left out", len(report["excluded"])),
        ("modality", report["modality"]),
        ("channels", ", ".join(report["channels"])),
        ("files", size),
    ]
    parts = [
        head,
        _table(["", ""], overview),
        f"## Observations\n\n{_list(report['observations'])}",
        f"## Grid\n\n{_grid(report)}",
        f"## Intensities of labelled voxels\n\n{_intensities(report)}",
        f"## Structures\n\n{_structures(report)}",
        f"## Excluded cases\n\n{_list(map(_sentence, report['excluded']))}",
        f"## Warnings\n\n{_list(map(_sentence, report['findings']))}",
    ]
    if report.get("fold_table"):
        parts.append(f"## Folds\n\n{FoldTable.from_json(report['fold_table']).markdown()}")
    return "\n\n".join(parts) + "\n"


def _list(items: Iterable[str]) -> str:
    return "\n".join(map("- {}".format, items)) or "None."


def _sentence(problem: Mapping[str, str]) -> str:
    return f"{problem['path']}: {problem['message']}"


def _grid(report: Mapping[str, Any]) -> str:
    keys = ("min", "p25", "median", "p75", "max")
    rows = []
    for quantity, name in (("voxels", "shape"), ("spacing, mm", "spacing_mm"), ("extent, mm", "extent_mm")):
        for axis, stats in report[name].items():
            rows.append([quantity, axis, *[number(stats[key], 4) for key in keys]])
    return _table(["", "axis", "min", "25 %", "median", "75 %", "max"], rows)


def _intensities(report: Mapping[str, Any]) -> str:
    keys = ("mean", "std", "p01", "p05", "p25", "p50", "p75", "p95", "p99")
    rows = []
    for name, channel in report["channels"].items():
        rows.append([name, *[number(channel["labelled"].get(key), 4) for key in keys]])
    return _table(["channel", *keys], rows)


def _structures(report: Mapping[str, Any]) -> str:
    head = ["structure", "labels", "in cases, %", "median, ml", "% of image", "% of foreground", "size"]
    shapes = ("linearity", "planarity", "sphericity", "isoperimetric_quotient")
    if report["detailed"]:
        head += ["kind", "linearity", "planarity", "sphericity", "isoperimetric quotient"]
        head += ["parts (median)", "parts (max)", "part mm³ (median)"]
    rows = []
    for name, stats in report["structures"].items():
        row: list[object] = [
            name,
            " ".join(map(str, stats["labels"])),
            number(stats["presence_percent"]),
            number((stats["volume_ml"] or {}).get("median")),
            number((stats["percent_of_image"] or {}).get("mean")),
            number(stats["percent_of_foreground"]),
            stats["size"],
        ]
        if "shape" in stats:
            row.append(stats["kind"])
            for key in shapes:
                row.append(number(stats["shape"][key]["median"]))
            row.append(number(stats["components"]["median"]))
            row.append(number(stats["components"]["max"]))
            row.append(number(stats["component_mm3"]["median"]))
        missing = len(head) - len(row)
        rows.append(row + ["–"] * missing)
    return _table(head, rows)


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = []
    for row in (head, ["---"] * len(head), *rows):
        cells = [str(cell).replace("|", r"\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
