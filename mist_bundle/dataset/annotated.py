"""Which labels were annotated in a case, where datasets with different labels are trained on together.

dataset.json says it for all cases with the same value in a column of cases.csv, for example by their source:
`"annotated_labels": {"source": {"a": [1], "b": [2, 3]}}`. Or cases.csv says it for each case, in a column of that name:
"2 3". In both, the background 0 is understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mist_bundle.errors import InputError, Problem

if TYPE_CHECKING:
    from mist_bundle.dataset.cases import Case
    from mist_bundle.dataset.spec import DatasetSpec

ANNOTATED = "annotated_labels"


def with_unlabelled(spec: DatasetSpec, cases: Sequence[Case]) -> list[Case]:
    """The cases with the labels that were not annotated in each.

    Args:
        spec: dataset description.
        cases: labelled cases, with the columns of cases.csv.

    Raises:
        InputError: naming each case of which it is not said, or with a label that does not exist, and each label that
            was annotated nowhere.
    """
    by_case = any(ANNOTATED in case.extra for case in cases)
    if spec.annotated_labels and by_case:
        place = f"{spec.json_path}: $.{ANNOTATED}"
        raise InputError(Problem(place, f"says the same as the column {ANNOTATED} of cases.csv. Remove one of them."))
    if not spec.annotated_labels and not by_case:
        return list(cases)
    completed = []
    problems: list[Problem] = []
    for case in cases:
        annotated = _of_column(spec, case, problems) if spec.annotated_labels else _of_cell(spec, case, problems)
        unlabelled = [label for label in spec.labels if label != 0 and label not in annotated]
        completed.append(replace(case, unlabelled=tuple(unlabelled)))
    if not problems:
        problems += _nowhere(spec, completed)
    if problems:
        raise InputError(problems)
    return completed


def _of_column(spec: DatasetSpec, case: Case, problems: list[Problem]) -> Sequence[int]:
    for column, labels_of in spec.annotated_labels.items():
        value = case.extra.get(column)
        if value in labels_of:
            return labels_of[value]
        found = f"has {value!r} in the column {column} of cases.csv" if value else f"has no {column} in cases.csv"
        problems.append(Problem(case.id, f"{found}; $.{ANNOTATED} knows {', '.join(labels_of)}."))
    return ()


def _of_cell(spec: DatasetSpec, case: Case, problems: list[Problem]) -> Sequence[int]:
    """The labels of a cell; a case without one was annotated completely."""
    cell = case.extra.get(ANNOTATED)
    if cell is None:
        return spec.labels
    words = [word for word in re.split(r"[\s,;]+", cell) if word]
    known = {*map(str, spec.labels), str(spec.ignore_label)}
    wrong = [word for word in words if word not in known]
    if wrong:
        message = f"has {cell!r} in the column {ANNOTATED}; the labels are {list(spec.labels)}, like '1 2'."
        problems.append(Problem(case.id, message))
        return ()
    return list(map(int, words))


def _nowhere(spec: DatasetSpec, cases: Sequence[Case]) -> list[Problem]:
    absent = set(spec.labels) - {0}
    for case in cases:
        absent &= set(case.unlabelled)
    if not absent:
        return []
    message = f"{sorted(absent)} were annotated in no case, so nothing can learn them. Correct {ANNOTATED} or labels."
    return [Problem("labels", message)]
