"""The tree of errors."""

from __future__ import annotations

import pytest

from mist_bundle.errors import (
    CaseFailure,
    Collecting,
    InputError,
    InstallationError,
    Interrupted,
    MistBundleError,
    Problem,
    count_paths,
)


def test_one_class_catches_all() -> None:
    for kind in (InputError, CaseFailure, InstallationError, Interrupted):
        assert issubclass(kind, MistBundleError)


def test_all_problems_are_in_the_message() -> None:
    problems = [Problem("a.json", "is not there."), Problem("--folds", "is 1.")]
    assert str(InputError(problems)) == "a.json: is not there.\n--folds: is 1."
    assert InputError(problems[0]).problems == (problems[0],)
    assert str(CaseFailure(problems, 5)).startswith("2 of 5 cases failed:\na.json: is not there.")
    assert str(CaseFailure([*problems, Problem("a.json", "is odd.")], 5)).startswith("2 of 5 cases failed:")
    assert str(CaseFailure(problems, 5, "formats")).startswith("2 of 5 formats failed:")


def test_paths_are_counted_once() -> None:
    assert count_paths([]) == 0
    assert count_paths([Problem("a", "is odd."), Problem("b", "is odd."), Problem("a", "is even.")]) == 2


def test_refusals_are_collected_and_other_errors_pass() -> None:
    problems: list[Problem] = []
    with Collecting(problems):
        raise InputError(Problem("a", "is wrong."))
    with Collecting(problems):
        pass
    assert problems == [Problem("a", "is wrong.")]
    with pytest.raises(KeyError), Collecting(problems):
        raise KeyError("b")


def test_an_interruption_has_the_exit_code_of_its_signal_and_the_next_command() -> None:
    assert Interrupted(15, "Stopped.").exit_code == 143
    assert str(Interrupted(15, "Stopped.")) == "Stopped."
    assert str(Interrupted(2, "Stopped.", ["train", "my data"])) == "Stopped. Continue with: train 'my data'"


def test_a_name_with_line_breaks_stays_in_its_line() -> None:
    assert str(Problem("a\nb", "is odd.")) == "'a\\nb': is odd."
    assert str(Problem("ü b", "is even.")) == "ü b: is even."
