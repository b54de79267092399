"""The report of a bundle: one HTML file with results first, then training, data, plan and how to reproduce it.

It shows what is there. Parts whose files are missing say which command makes them.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mist_bundle.analysis.data_report import DataFacts, make_data_report
from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.bundle.launch import configured_dataset_dir
from mist_bundle.errors import Problem
from mist_bundle.files import FINGERPRINT_JSON, METADATA_JSON, PLAN_JSON, read_json, work_dir_of, write_text
from mist_bundle.report.case_pictures import spread_cases
from mist_bundle.report.data_page import DATA_REPORT_JSON
from mist_bundle.report.data_part import Sections, data_sections
from mist_bundle.report.html import Html, document, el, hint, section
from mist_bundle.report.plan_part import plan_section
from mist_bundle.report.postprocessing_part import postprocessing_section
from mist_bundle.report.reproduce_part import reproduce_section
from mist_bundle.report.results_part import (
    Results,
    cases_section,
    extreme_cases,
    read_bundle_results,
    results_section,
    volumes_section,
    worst_class,
)
from mist_bundle.report.sources import CaseFiles, files_of_bundle
from mist_bundle.report.training_part import read_histories, training_section
from mist_bundle.report.viewer import ViewerCase, write_viewer
from mist_bundle.runtime.metrics.table import ID

REPORT_HTML = "report.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRequest:
    """What the report shall show.

    Attributes:
        bundle: its folder.
        dataset_dir: folder of the cases; the one that the bundle names by default.
        pictures: cases shown in the part about the data.
        each: worst, median and best cases shown, of each.
        viewer_cases: cases in the interactive viewer; 0 writes none.
        workers: processes that count the voxels of predictions.
    """

    bundle: Path
    dataset_dir: Path | None = None
    pictures: int = 6
    each: int = 2
    viewer_cases: int = 3
    workers: int | str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """What was written.

    Attributes:
        page: the report.
        viewer: the interactive viewer; None where there is none, and then `no_viewer` says why.
        no_viewer: the reason.
        problems: files that could not be read, by case.
        num_cases: cases of the bundle.
    """

    page: Path
    viewer: Path | None
    no_viewer: str
    problems: tuple[Problem, ...]
    num_cases: int


def write_report(request: ReportRequest, output: Path) -> Reported:
    """Write the page and, beside it, the viewer.

    Raises:
        InputError: a file of the bundle or of its work folder is damaged.
    """
    made = _Material.read(request)
    viewer, no_viewer, problems = _write_viewer(request, made, viewer_path(output))
    sections, unreadable = _sections(request, made, viewer, no_viewer)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    foot = (
        f"Made by mist_bundle report on {today}. Research only: not a medical device, not for diagnosis or treatment."
    )
    plan = made.plan
    subtitle = f"Bundle {made.name} of {plan['num_cases']} cases; {', '.join(plan['label_names'][1:])}"
    write_text(output, document(f"Report: {plan['task']}", subtitle, sections, foot=foot))
    return Reported(
        page=output,
        viewer=viewer,
        no_viewer=no_viewer,
        problems=(*problems, *unreadable),
        num_cases=len(made.all_files),
    )


def viewer_path(output: Path) -> Path:
    """Where the viewer of a report lies."""
    return output.with_name(f"{output.stem}_viewer.html")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Material:
    """What the parts of the page are made from."""

    name: str
    work_dir: Path
    plan: Mapping[str, Any]
    data: Mapping[str, Any] | None
    results: Results | None
    all_files: Sequence[CaseFiles]
    readable: Sequence[CaseFiles]

    @classmethod
    def read(cls, request: ReportRequest) -> _Material:
        plan = read_json(request.bundle / PLAN_JSON)
        work_dir = work_dir_of(request.bundle)
        root = request.dataset_dir or configured_dataset_dir(request.bundle)
        files = files_of_bundle(request.bundle, plan["channel_names"], root)
        there = [case for case in files if all(path.is_file() for path in (case.label, *case.images.values()))]
        return cls(
            name=request.bundle.absolute().name,
            work_dir=work_dir,
            plan=plan,
            data=bundle_data_report(work_dir, plan, read_json(request.bundle / METADATA_JSON)),
            results=read_bundle_results(work_dir),
            all_files=files,
            readable=there,
        )

    @property
    def label_names(self) -> dict[int, str]:
        return dict(zip(self.plan["labels"], self.plan["label_names"], strict=True))


def _sections(
    request: ReportRequest, made: _Material, viewer: Path | None, no_viewer: str
) -> tuple[Sections, list[Problem]]:
    plan, name, results = made.plan, made.name, made.results
    folds = {case.id: case.fold for case in made.all_files if case.fold is not None}
    volumes, problems = volumes_section(made.data, made.all_files, plan, name, request.workers)
    outcome = [
        ("results", "Results", results_section(results, plan, folds, name)),
        ("cases", "Cases", cases_section(results, made.readable, plan, request.each, name)),
        ("viewer", "Viewer", viewer_section(viewer, no_viewer)) if request.viewer_cases else None,
        ("volumes", "Volumes", volumes),
        ("training", "Training", training_section(read_histories(made.work_dir), name, plan)),
        ("postprocessing", "Post-processing", postprocessing_section(made.work_dir, plan, name)),
    ]
    data = _data(made, request.pictures)
    planned = ("plan", "Plan", plan_section(plan))
    # what a bundle is worth comes first; one without results is looked at for its data
    parts = [*data, planned, *outcome] if results is None else [*outcome, *data, planned]
    sections = [*parts, ("reproduce", "Reproduce", reproduce_section(request.bundle, plan))]
    return [one for one in sections if one is not None], problems


def viewer_section(viewer: Path | None, no_viewer: str) -> Html:
    """The way to the viewer, or how to get it."""
    if viewer is None:
        return section("viewer", "Interactive viewer", el("p", f"There is none: {no_viewer}", class_="hint"))
    return section(
        "viewer",
        "Interactive viewer",
        el("p", el("a", "Open the viewer", href=viewer.name, class_="button")),
        lead=f"Some of these cases slice by slice; the file {viewer.name} beside this page.",
    )


def _write_viewer(request: ReportRequest, made: _Material, output: Path) -> tuple[Path | None, str, Sequence[Problem]]:
    if not request.viewer_cases:
        return None, "not asked for.", ()
    by_id = {case.id: case for case in made.readable}
    chosen = [
        ViewerCase(files=by_id[name], words=words, focus=focus)
        for name, words, focus in _viewer_cases(request, made)
        if name in by_id
    ]
    if not chosen:
        return None, "the files of the cases are not there; name their folder with --dataset_dir.", ()
    title = f"Viewer: {made.plan['task']}"
    report_name = output.name.replace("_viewer", "")
    problems = write_viewer(output, chosen, made.label_names, made.plan["modality"], title, report_name)
    return output, "", problems


def _viewer_cases(request: ReportRequest, made: _Material) -> list[tuple[str, str, tuple[int, ...]]]:
    """(id, what is said about it, labels that this is about): the worst, median and best cases in turn.

    Without results, cases spread over all volumes.
    """
    count = request.viewer_cases
    if made.results is None:
        if made.data is not None:
            return [(name, "reference only: not evaluated yet", ()) for name in spread_cases(made.data, count)]
        return [(case.id, "reference only", ()) for case in made.readable[:count]]
    classes = made.plan["final_classes"]
    rows = {str(row[ID]): row for row in made.results.rows}
    groups = extreme_cases(made.results.rows, list(classes), max(1, -(-count // 3)))
    shown = []
    for place in itertools.zip_longest(*groups.values()):
        for group, name in zip(groups, place, strict=True):
            if name is not None:
                focus = worst_class(rows[name], list(classes))
                words = f"{group} case by mean Dice, cut through {focus}"
                shown.append((name, words, tuple(classes.get(focus, ()))))
    return shown[:count]


def bundle_data_report(work_dir: Path, plan: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The data report that analyze left in the work folder, or one made from the fingerprint; None without both.

    A data report of other cases than the bundle's is not used.
    """
    detailed, measured = work_dir / DATA_REPORT_JSON, work_dir / FINGERPRINT_JSON
    if detailed.is_file():
        report: dict[str, Any] = read_json(detailed)
        if report["num_cases"] == plan["num_cases"] and report["labels"] == plan["labels"]:
            return report
    if not measured.is_file():
        return None
    facts = replace(DataFacts.of_plan(plan), description=metadata["description"], reference=metadata["data_source"])
    return make_data_report(facts, Fingerprint.read(measured))


def _data(made: _Material, pictures: int) -> Sections:
    command = f"mist-bundle analyze dataset.json --output {made.name}_work --overwrite"
    if made.data is None:
        return [("data", "Data", section("data", "Data", hint("The data were not measured here.", command)))]
    return data_sections(made.data, made.readable, pictures, command)
