"""From a description of data to a page about the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mist_bundle.dataset.cases import Case, find_cases
from mist_bundle.dataset.leakage import output_within_data, same_scans
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import FINGERPRINT_JSON, refuse_existing, write_json
from mist_bundle.pipeline.fold_choice import FoldRequest, choose_folds, hold_out

if TYPE_CHECKING:
    from mist_bundle.analysis.fingerprint import Fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Analyzed:
    """The results of an analysis."""

    page: Path
    report: dict[str, Any]
    excluded: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def analyze_dataset(
    dataset_json: Path,
    output: Path,
    *,
    workers: int | str | None = None,
    pictures: int = 6,
    folds: FoldRequest | None = None,
    overwrite: bool = False,
) -> Analyzed:
    """Measure a dataset in detail and write fingerprint.json and data_report.json, .md and .html.

    Args:
        dataset_json: MIST's description of a dataset.
        output: folder of the files.
        workers: processes, or the address of a Dask scheduler.
        pictures: how many cases the page shows.
        folds: what each of these folds would hold is shown; None for no folds.
        overwrite: replace existing files.

    Raises:
        InputError: the description is wrong, no case is usable, or a file exists already.
    """
    from mist_bundle.analysis.data_report import DataFacts, make_data_report
    from mist_bundle.analysis.fingerprint import analyze_in_detail
    from mist_bundle.report.data_page import DATA_REPORT_HTML, DATA_REPORT_JSON, DATA_REPORT_MD, write_data_report
    from mist_bundle.report.sources import files_of_cases

    for name in (FINGERPRINT_JSON, DATA_REPORT_JSON, DATA_REPORT_MD, DATA_REPORT_HTML):
        refuse_existing(output / name, overwrite=overwrite)
    spec = DatasetSpec.from_json(dataset_json)
    within = output_within_data(output, spec)
    if within:
        raise InputError(within)
    listed = find_cases(spec, "train")
    held_out: tuple[Case, ...] = ()
    if folds is not None:
        listed, held_out = hold_out(listed, folds.rules)
    fingerprint, details = analyze_in_detail(spec, listed.cases, workers=workers, excluded=listed.problems)
    report = make_data_report(DataFacts.of_spec(spec), fingerprint, details)
    warnings = list(listed.warnings)
    if folds is not None:
        report["fold_table"], doubts = _fold_table(spec, listed.cases, held_out, fingerprint, folds)
        warnings += doubts
    write_data_report(output, report, files_of_cases(listed.cases), pictures)
    write_json(output / FINGERPRINT_JSON, fingerprint.to_json())
    return Analyzed(
        page=output / DATA_REPORT_HTML, report=report, excluded=fingerprint.excluded, warnings=tuple(warnings)
    )


def _fold_table(
    spec: DatasetSpec,
    cases: Sequence[Case],
    held_out: Sequence[Case],
    fingerprint: Fingerprint,
    request: FoldRequest,
) -> tuple[dict[str, object] | None, Sequence[Problem]]:
    """The table of the folds, or None and why there are no such folds: a page about few data is still useful."""
    measured = set(fingerprint.case_ids)
    usable = [case for case in cases if case.id in measured]
    volumes_ml = fingerprint.volumes_ml(spec.final_classes)
    try:
        chosen = choose_folds(usable, request, same_scans(fingerprint.digests), volumes_ml)
    except InputError as error:
        if request.is_default:
            return None, ()
        return None, error.problems
    return chosen.table(volumes_ml, [case.id for case in held_out]).to_json(), ()
