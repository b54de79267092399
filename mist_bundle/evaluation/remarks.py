"""Irregularities of files that do not prevent their use, gathered over cases."""

from __future__ import annotations

from collections.abc import Iterable

from mist_bundle.errors import Problem
from mist_bundle.runtime.wording import list_names

Remarks = tuple[str, tuple[str, ...]]  # id of a case, and what is odd about its files


def gathered_remarks(cases: Iterable[Remarks]) -> tuple[Problem, ...]:
    """A Problem for each remark, with the ids of all cases that it is true of."""
    ids_by_remark: dict[str, list[str]] = {}
    for case, remarks in cases:
        for remark in remarks:
            ids_by_remark.setdefault(remark, []).append(case)
    problems = []
    for remark, ids in ids_by_remark.items():
        problems.append(Problem(list_names(ids), remark))
    return tuple(problems)
