"""The outputs of the analyze command: data_report.json, data_report.md and data_report.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.files import write_json, write_text
from mist_bundle.report.data_part import data_sections
from mist_bundle.report.html import document, number
from mist_bundle.report.sources import CaseFiles

DATA_REPORT_JSON = "data_report.json"
DATA_REPORT_MD = "data_report.md"
DATA_REPORT_HTML = "data_report.html"
ANALYZE = "mist-bundle analyze dataset.json --output DIR"


def write_data_report(output: Path, report: Mapping[str, Any], files: Sequence[CaseFiles], num_pictures: int) -> None:
    """Write the three files into a folder.

    Args:
        output: the folder.
        report: made by `make_data_report`.
        files: of the cases, for the pictures.
        num_pictures: how many cases the page shows.
    """
    page = data_page(report, files, num_pictures)
    write_json(output / DATA_REPORT_JSON, report)
    write_text(output / DATA_REPORT_MD, data_markdown(report))
    write_text(output / DATA_REPORT_HTML, page)


def data_page(report: Mapping[str, Any], files: Sequence[CaseFiles], num_pictures: int) -> str:
    """The page as HTML text."""
    title = f"Data: {report['task']}"
    foot = f"Made by mist_bundle analyze. {DATA_REPORT_JSON} beside this page holds the same numbers."
    sections = data_sections(report, files, num_pictures, ANALYZE)
    return document(title, f"{report['num_cases']} cases, measured before training", sections, foot=foot)


def data_markdown(report: Mapping[str, Any]) -> str:
    """The same for a terminal, a notebook or a language model: numbers and sentences, no pictures."""
    head = f"# Data: {report['task']}\n\n{report['description']}".rstrip()
    size = f"{number(report['file_bytes'] / 1e6)} MB" if report["file_bytes"] else "not measured"
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
        "## What stands out\n\n" + ("\n".join(f"- {one}" for one in report["observations"]) or "Nothing."),
        "## Grid\n\n" + _table(["", "axis", "min", "25 %", "median", "75 %", "max"], list(_grid_rows(report))),
        "## Intensities of labelled voxels\n\n" + _table(*_intensities(report)),
        "## Structures\n\n" + _table(*_structure_table(report)),
        "## Left out\n\n" + ("\n".join(f"- {one['path']}: {one['message']}" for one in report["excluded"]) or "None."),
        "## Oddities\n\n" + ("\n".join(f"- {one['path']}: {one['message']}" for one in report["findings"]) or "None."),
    ]
    return "\n\n".join(parts) + "\n"


def _grid_rows(report: Mapping[str, Any]) -> Any:
    for words, key in (("voxels", "shape"), ("spacing, mm", "spacing_mm"), ("extent, mm", "extent_mm")):
        for axis, stats in report[key].items():
            yield [words, axis, *(number(stats[one], 4) for one in ("min", "p25", "median", "p75", "max"))]


def _intensities(report: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    keys = ["mean", "std", "p01", "p05", "p25", "p50", "p75", "p95", "p99"]
    rows = [[name, *(number(one["labelled"].get(key), 4) for key in keys)] for name, one in report["channels"].items()]
    return ["channel", *keys], rows


def _structure_table(report: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    head = ["structure", "labels", "in cases, %", "median, ml", "% of image", "% of foreground", "size"]
    shapes = ["linearity", "planarity", "sphericity", "isoperimetric_quotient"]
    if report["detailed"]:
        head += [
            "kind",
            *(name.replace("_", " ") for name in shapes),
            "parts (median)",
            "parts (max)",
            "part mm³ (median)",
        ]
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
            row += [stats["kind"], *(number(stats["shape"][key]["median"]) for key in shapes)]
            row += [number(stats["components"]["median"]), number(stats["components"]["max"])]
            row.append(number(stats["component_mm3"]["median"]))
        rows.append(row + ["–"] * (len(head) - len(row)))
    return head, rows


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
