"""cases.csv of a merged dataset: the source of each case, and what the sources say about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mist_bundle.dataset.annotated import ANNOTATED
from mist_bundle.dataset.cases import CASE_TABLE_CSV
from mist_bundle.dataset.groups import PATIENT
from mist_bundle.dataset.merged_cases import MergedCase
from mist_bundle.dataset.names import free_name
from mist_bundle.dataset.tables import ID_COLUMN, write_table
from mist_bundle.errors import Problem

SOURCE = "source"  # column of cases.csv


def training_cases(cases: Sequence[MergedCase]) -> list[MergedCase]:
    """The cases with a label map."""
    return [merged for merged in cases if merged.split == "train"]


def annotated_by_case(training: Sequence[MergedCase]) -> bool:
    """Whether a source itself was annotated in part, so that it has to be said case by case."""
    return any(merged.case.unlabelled for merged in training)


def _extra_columns(training: Sequence[MergedCase]) -> dict[str, str]:
    """Column of the sources -> its name in cases.csv; the column of their own that is called `source` is renamed."""
    extra: dict[str, None] = {}
    for merged in training:
        extra.update(dict.fromkeys(merged.case.extra))
    extra.pop(ANNOTATED, None)
    columns = {column: column for column in extra}
    if SOURCE in columns:
        columns[SOURCE] = free_name(f"original_{SOURCE}", extra)
    return columns


def renamed_columns(cases: Sequence[MergedCase]) -> list[Problem]:
    """A warning about the column that is renamed."""
    columns = _extra_columns(training_cases(cases))
    if SOURCE not in columns:
        return []
    message = f'of a dataset is kept as "{columns[SOURCE]}"; "{SOURCE}" says which of the datasets a case is from.'
    return [Problem(f'{CASE_TABLE_CSV}: column "{SOURCE}"', message)]


def write_case_table(training: Sequence[MergedCase], path: Path) -> None:
    """Write cases.csv: the source of each training case, the columns of the sources, and what is annotated."""
    columns = _extra_columns(training)
    by_case = annotated_by_case(training)
    rows = []
    for merged in training:
        row = [merged.id, merged.source.name]
        for column in columns:
            cell = merged.case.extra.get(column, "")
            # patients of different sources are different persons, whatever they are called
            row.append(f"{merged.source.name}_{cell}" if column == PATIENT and cell else cell)
        if by_case:
            annotated = set(merged.source.annotated) - {merged.source.labels[label] for label in merged.case.unlabelled}
            row.append(" ".join(map(str, sorted(annotated))) or "0")
        rows.append(row)
    write_table(path, [ID_COLUMN, SOURCE, *columns.values(), *([ANNOTATED] if by_case else [])], rows)
