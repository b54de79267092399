"""What the exceptions say and which of them are kept."""

from __future__ import annotations

import pytest

from mist_bundle.errors import (
    CaseFailure,
    Collecting,
    InputError,
    Interrupted,
    MistBundleError,
    Problem,
    list_names,
    problems_of,
)


def test_an_input_error_says_all_its_problems() -> None:
    error = InputError([Problem("a.json", "is missing."), Problem("--folds", "is 0.")])
    assert str(error) == "a.json: is missing.\n--folds: is 0."
    assert InputError(Problem("x", "y")).problems == (Problem("x", "y"),)
    assert isinstance(error, MistBundleError)


def test_a_case_failure_counts_the_failed_cases() -> None:
    error = CaseFailure([Problem("001", "is cut short.")], 20)
    assert str(error) == "1 of 20 cases failed:\n001: is cut short."
    assert (error.total, len(error.problems)) == (20, 1)


def test_an_interruption_ends_as_shells_expect() -> None:
    assert Interrupted(15, "ended").exit_code == 143


def test_problems_of_several_checks_are_collected() -> None:
    problems: list[Problem] = []
    for number in range(3):
        with Collecting(problems):
            if number != 1:
                raise InputError(problems_of(str(number), ["bad", "worse"]))
    assert [str(problem) for problem in problems] == ["0: bad", "0: worse", "2: bad", "2: worse"]


def test_other_exceptions_are_not_collected() -> None:
    problems: list[Problem] = []
    with pytest.raises(KeyError), Collecting(problems):
        raise KeyError("x")
    assert problems == []


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, ""), (1, "0"), (8, "0, 1, 2, 3, 4, 5, 6, 7"), (9, "0, 1, 2, 3, 4, 5, 6, 7 and 1 more")],
)
def test_long_lists_of_names_are_shortened(count: int, words: str) -> None:
    assert list_names([str(number) for number in range(count)]) == words
