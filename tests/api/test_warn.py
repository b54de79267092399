"""Warnings of the API."""

from __future__ import annotations

import warnings

from mist_bundle.api.warn import CaseLeftOut, DataWarning, warn
from mist_bundle.errors import Problem


def _api_function(problems: list[Problem], kind: type[DataWarning]) -> None:
    warn(problems, kind)


def test_each_problem_is_a_warning_where_the_api_was_called() -> None:
    problems = [Problem("case_1", "is odd."), Problem("case_2", "is damaged.")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _api_function(problems, CaseLeftOut)
    assert [str(warning.message) for warning in caught] == ["case_1: is odd.", "case_2: is damaged."]
    assert {warning.filename for warning in caught} == {__file__}
    assert [warning.message.problem for warning in caught if isinstance(warning.message, CaseLeftOut)] == problems
    assert issubclass(CaseLeftOut, DataWarning)
    assert issubclass(DataWarning, UserWarning)
