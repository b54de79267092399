"""Warnings of the API."""

from __future__ import annotations

import warnings

import pytest

from mist_bundle.api.arguments import checked
from mist_bundle.api.warn import CaseLeftOut, DataWarning, warn
from mist_bundle.errors import CaseFailure, Problem


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


@checked
def _failing() -> None:
    raise CaseFailure([Problem("case_2", "is damaged.")], 2, warnings=[Problem("case_1", "is odd.")])


def test_a_failure_brings_the_warnings_from_before_it() -> None:
    with pytest.warns(DataWarning, match=r"case_1: is odd\.") as caught, pytest.raises(CaseFailure, match="case_2"):
        _failing()
    assert [warning.filename for warning in caught] == [__file__]
