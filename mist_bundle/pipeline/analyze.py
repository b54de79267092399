"""From a description of data to a page about the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Problem
from mist_bundle.files import FINGERPRINT_JSON, refuse_existing, write_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyzed:
    """The results of an analysis."""

    page: Path
    report: dict[str, Any]
    excluded: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def analyze_dataset(
    dataset_json: Path, output: Path, *, workers: int | str | None = None, pictures: int = 6, overwrite: bool = False
) -> Analyzed:
    """Measure a dataset in detail and write fingerprint.json and data_report.json, .md and .html.

    Args:
        dataset_json: MIST's description of a dataset.
        output: folder of the files.
        workers: processes, or the address of a Dask scheduler.
        pictures: how many cases the page shows.
        overwrite: replace files that are there.

    Raises:
        InputError: the description is wrong, no case is usable, or a file is there already.
    """
    from mist_bundle.analysis.data_report import DataFacts, make_data_report
    from mist_bundle.analysis.fingerprint import analyze_in_detail
    from mist_bundle.report.data_page import DATA_REPORT_HTML, DATA_REPORT_JSON, DATA_REPORT_MD, write_data_report
    from mist_bundle.report.sources import files_of_cases

    for name in (FINGERPRINT_JSON, DATA_REPORT_JSON, DATA_REPORT_MD, DATA_REPORT_HTML):
        refuse_existing(output / name, overwrite=overwrite)
    spec = DatasetSpec.from_json(dataset_json)
    listed = find_cases(spec, "train")
    fingerprint, details = analyze_in_detail(spec, listed.cases, workers=workers, excluded=listed.problems)
    report = make_data_report(DataFacts.of_spec(spec), fingerprint, details)
    write_data_report(output, report, files_of_cases(listed.cases), pictures)
    write_json(output / FINGERPRINT_JSON, fingerprint.to_json())
    return Analyzed(
        page=output / DATA_REPORT_HTML, report=report, excluded=fingerprint.excluded, warnings=listed.warnings
    )
