"""Values of another kind become problems with a place."""

from __future__ import annotations

from typing import Any

import pytest

from mist_bundle.errors import InputError, Problem
from mist_bundle.transfer.foreign import Understanding


def test_each_kind_of_error_is_a_problem() -> None:
    problems: list[Problem] = []
    content: dict[str, Any] = {"size": None}
    with Understanding("plans.json: size", "nnU-Net", problems):
        len(content["size"])
    with Understanding("plans.json", "nnU-Net", problems):
        content["patch"]
    with Understanding("plans.json", "nnU-Net", problems):
        raise InputError(Problem("elsewhere", "is wrong."))
    first, second, third = problems
    assert first.path == "plans.json: size"
    assert (
        "cannot be understood (object of type 'NoneType' has no len()); expected what nnU-Net writes" in first.message
    )
    assert "cannot be understood ('patch' is missing)" in second.message
    assert third.path == "elsewhere"


def test_without_a_list_the_problem_is_raised_and_other_errors_pass() -> None:
    with pytest.raises(InputError, match=r"config\.json: cannot be understood"), Understanding("config.json", "MIST"):
        int("many")
    with pytest.raises(OSError, match="disk"), Understanding("config.json", "MIST"):
        raise OSError("disk")
