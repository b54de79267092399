"""Remarks about files, gathered over cases."""

from __future__ import annotations

from mist_bundle.errors import Problem
from mist_bundle.evaluation.remarks import gathered_remarks


def test_cases_with_the_same_remark_share_a_line() -> None:
    remarks = gathered_remarks([("001", ("has no code.",)), ("002", ()), ("003", ("has no code.", "is tilted."))])
    assert remarks == (Problem("001, 003", "has no code."), Problem("003", "is tilted."))
