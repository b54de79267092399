"""The report of a bundle: an HTML page with results, training, data, plan and the commands that reproduce it.

Parts whose files do not exist yet show the command that creates them.
"""

from __future__ import annotations

import datetime
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.analysis.data_report import DataFacts, make_data_report
from mist_bundle.analysis.fingerprint import Fingerprint
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import Problem
from mist_bundle.files import FINGERPRINT_JSON, read_json, write_text
from mist_bundle.planning.plan import Plan
from mist_bundle.report.case_pictures import spread_cases
from mist_bundle.report.cases_part import cases_section, extreme_cases
from mist_bundle.report.colours import label_names_of
from mist_bundle.report.confidence_part import confidence_section
from mist_bundle.report.data_page import DATA_REPORT_JSON
from mist_bundle.report.data_part import Sections, data_sections
from mist_bundle.report.html import Html, document, el, hint, section
from mist_bundle.report.plan_part import plan_section
from mist_bundle.report.postprocessing_part import postprocessing_section
from mist_bundle.report.reproduce_part import reproduce_section
from mist_bundle.report.results_part import Results, read_bundle_results, results_section
from mist_bundle.report.score_table import ScoreTable
from mist_bundle.report.sources import CaseFiles, files_of_bundle
from mist_bundle.report.training_part import read_histories, training_section
from mist_bundle.report.viewer import ViewerCase, write_viewer
from mist_bundle.report.volumes_part import volumes_section

REPORT_HTML = "report.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRequest:
    """The content of a report.

    Attributes:
        bundle: folder of the bundle.
        dataset_dir: folder of the cases; by default the folder that the bundle was configured from.
        pictures: number of cases with pictures in the part about the data.
        each: number of worst, of median and of best cases.
        viewer_cases: number of cases in the interactive viewer; 0 for no viewer.
        workers: number of predictions read in parallel.
    """

    bundle: Path
    dataset_dir: Path | None = None
    pictures: int = 6
    each: int = 2
    viewer_cases: int = 3
    workers: int | str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """The written files.

    Attributes:
        page: the report.
        viewer: the interactive viewer, if any.
        no_viewer: the reason why there is no viewer; "" if there is.
        problems: a Problem for each file that could not be read.
        num_cases: number of cases of the bundle.
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
    material = _Material.read(request)
    viewer, no_viewer, problems = _write_viewer(request, material, viewer_path(output))
    sections, unreadable = _sections(request, material, viewer, no_viewer)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    warning = "For research only: not a medical device, not for diagnosis or treatment."
    place = "Commands on this page are for the folder that holds the bundle; dataset.json stands for that of your data."
    foot = f"Written by mist-bundle report on {today}. {place} {warning}"
    plan = material.plan
    subtitle = f"Bundle {material.name} of {plan.num_cases} cases; {', '.join(plan.label_names[1:])}"
    write_text(output, document(f"Report: {plan.task}", subtitle, sections, foot=foot))
    return Reported(
        page=output,
        viewer=viewer,
        no_viewer=no_viewer,
        problems=(*problems, *unreadable),
        num_cases=len(material.files),
    )


def viewer_path(output: Path) -> Path:
    """Path of the viewer of a report."""
    return output.with_name(f"{output.stem}_viewer.html")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Material:
    """Everything that the parts of the page show."""

    bundle: Bundle
    data: Mapping[str, Any] | None
    results: Results | None
    files: Sequence[CaseFiles]

    @classmethod
    def read(cls, request: ReportRequest) -> _Material:
        bundle = Bundle(request.bundle)
        return cls(
            bundle=bundle,
            data=bundle_data_report(bundle),
            results=read_bundle_results(bundle.work_dir, bundle.plan.final_classes),
            files=files_of_bundle(bundle, request.dataset_dir),
        )

    @property
    def name(self) -> str:
        return self.bundle.root.absolute().name

    @property
    def plan(self) -> Plan:
        return self.bundle.plan

    @property
    def readable(self) -> list[CaseFiles]:
        """The cases whose images and reference exist."""
        return [case for case in self.files if case.are_there]


def _sections(
    request: ReportRequest, material: _Material, viewer: Path | None, no_viewer: str
) -> tuple[Sections, list[Problem]]:
    plan, name, results = material.plan, material.name, material.results
    work_dir = material.bundle.work_dir
    folds = {}
    for case in material.files:
        if case.fold is not None:
            folds[case.id] = case.fold
    volumes, problems = volumes_section(material.data, material.files, plan, name, request.workers)
    cases = cases_section(results, material.readable, plan, request.each, name)
    outcome: Sections = [
        ("results", "Results", results_section(results, plan, folds, name)),
        ("cases", "Cases", cases),
        ("volumes", "Volumes", volumes),
        ("training", "Training", training_section(read_histories(work_dir), name, plan)),
        ("postprocessing", "Post-processing", postprocessing_section(work_dir, plan, name)),
        ("confidence", "Confidence", confidence_section(work_dir, plan, name)),
    ]
    if request.viewer_cases:
        outcome.insert(2, ("viewer", "Viewer", viewer_section(viewer, no_viewer)))
    data = [*_data(material, request.pictures), ("plan", "Plan", plan_section(plan))]
    # results come first; without results the data are most interesting
    parts = [*data, *outcome] if results is None else [*outcome, *data]
    return [*parts, ("reproduce", "Reproduce", reproduce_section(material.bundle))], problems


def viewer_section(viewer: Path | None, no_viewer: str) -> Html:
    """A link to the viewer, or the reason why there is none."""
    title = "Interactive viewer"
    if viewer is None:
        return section("viewer", title, el("p", f"Not available: {no_viewer}", class_="hint"))
    link = el("p", el("a", "Open the viewer", href=viewer.name, class_="button"))
    lead = f"Some of these cases slice by slice, in the file {viewer.name} beside this page."
    return section("viewer", title, link, lead=lead)


def _write_viewer(
    request: ReportRequest, material: _Material, output: Path
) -> tuple[Path | None, str, Sequence[Problem]]:
    """The path of the viewer, or None and the reason; and the problems of its cases."""
    if not request.viewer_cases:
        return None, "it was disabled.", ()
    chosen = _viewer_cases(material, request.viewer_cases)
    if not chosen:
        return None, "the files of the cases do not exist; name their folder with --dataset_dir.", ()
    plan = material.plan
    title = f"Viewer: {plan.task}"
    report_name = output.name.replace("_viewer", "")
    problems = write_viewer(output, chosen, label_names_of(plan), plan.modality, title, report_name)
    return output, "", problems


def _viewer_cases(material: _Material, count: int) -> list[ViewerCase]:
    """The worst, median and best cases in turn; without results, cases spread over all volumes."""
    readable = {case.id: case for case in material.readable}
    if material.results is not None:
        return _scored_cases(material.results.table, readable, material.plan, count)
    ids = list(readable)[:count]
    note = "reference only"
    if material.data is not None:
        ids = spread_cases(material.data, count)
        note = "reference only: not evaluated yet"
    chosen = []
    for case in ids:
        if case in readable:
            chosen.append(ViewerCase(files=readable[case], words=note))
    return chosen


def _scored_cases(scores: ScoreTable, readable: Mapping[str, CaseFiles], plan: Plan, count: int) -> list[ViewerCase]:
    each = max(1, math.ceil(count / 3))
    groups = extreme_cases(scores, each)
    ordered = []
    for rank in itertools.zip_longest(*groups.values()):
        for group, case in zip(groups, rank, strict=True):
            if case is not None:
                ordered.append((group, case))
    chosen = []
    for group, case in ordered[:count]:
        worst = scores.worst_class(case)
        note = f"{group} case by mean Dice, cut through {worst}"
        if case in readable:
            focus = tuple(plan.final_classes.get(worst, ()))
            chosen.append(ViewerCase(files=readable[case], words=note, focus=focus))
    return chosen


def bundle_data_report(bundle: Bundle) -> dict[str, Any] | None:
    """The data report in the work folder, or a report from the fingerprint; None without either.

    A data report of other cases than the bundle's is ignored.

    Raises:
        InputError: a file is damaged.
    """
    plan = bundle.plan
    detailed = bundle.work_dir / DATA_REPORT_JSON
    if detailed.is_file():
        report: dict[str, Any] = read_json(detailed)
        if report["num_cases"] == plan.num_cases and report["labels"] == list(plan.labels):
            return {**report, "fold_table": bundle.datalist.fold_table}
    fingerprint = bundle.work_dir / FINGERPRINT_JSON
    if not fingerprint.is_file():
        return None
    report = make_data_report(_data_facts(bundle), Fingerprint.read(fingerprint))
    return {**report, "fold_table": bundle.datalist.fold_table}


def _data_facts(bundle: Bundle) -> DataFacts:
    """The description of the dataset that a bundle keeps."""
    plan = bundle.plan
    metadata = bundle.metadata
    return DataFacts(
        task=plan.task,
        modality=plan.modality,
        channel_names=plan.channel_names,
        labels=plan.labels,
        label_names=label_names_of(plan),
        final_classes=dict(plan.final_classes),
        description=metadata["description"],
        reference=metadata["data_source"],
    )


def _data(material: _Material, pictures: int) -> Sections:
    command = f"mist-bundle analyze dataset.json --output {material.name}_work --overwrite"
    if material.data is None:
        return [("data", "Data", section("data", "Data", hint("The data have not been measured here.", command)))]
    return data_sections(material.data, material.readable, pictures, command)
