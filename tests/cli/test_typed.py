"""What verbs are called with, from what Fire made of the words of a real command line."""

from __future__ import annotations

from typing import Any

import fire
import pytest

from mist_bundle.cli.typed import typed
from mist_bundle.errors import InputError

SEEN: dict[str, Any] = {}


def verb(
    *files: str,
    name: str = "x",
    other: str | None = None,
    flag: bool = True,
    maybe: bool | None = None,
    count: int = 1,
    most: int | None = None,
    rate: float | None = None,
    free: Any = None,
    **rest: Any,
) -> None:
    """A verb with an argument of each kind."""
    SEEN.clear()
    SEEN.update({key: value for key, value in locals().items() if key != "rest"}, **rest)


def _called(words: str) -> dict[str, Any]:
    fire.Fire(typed(verb), command=words.split(), name="verb")
    return dict(SEEN)


@pytest.mark.parametrize(
    ("words", "name", "expected"),
    [
        ("--flag false", "flag", False),
        ("--flag False", "flag", False),
        ("--flag=true", "flag", True),
        ("--noflag", "flag", False),
        ("--maybe TRUE", "maybe", True),
        ("--maybe", "maybe", True),
        ("", "maybe", None),
        ("--count 3.0", "count", 3),
        ("--most 4", "most", 4),
        ("--rate 1", "rate", 1.0),
        ("--name 5", "name", "5"),
        ("--other 001", "other", "001"),
        ("--free false", "free", "false"),
        ("--own_id false", "own_id", "false"),
        ("1 b", "files", ("1", "b")),
    ],
)
def test_values_become_what_the_verb_takes(words: str, name: str, expected: Any) -> None:
    value = _called(words)[name]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--flag maybe", "--flag: is 'maybe'; expected true or false."),
        ("--flag 1", "--flag: is 1; expected true or false."),
        ("--count 2.5", "--count: is 2.5; expected a whole number."),
        ("--count inf", "--count: is 'inf'; expected a whole number."),
        ("--count", "--count: was given no value; expected a whole number."),
        ("--nomost", "--most: was given no value; expected a whole number."),
        ("--rate x", "--rate: is 'x'; expected a number."),
        ("--other", "--other: was given no value; expected a word."),
        ("--noname", "--name: was given no value; expected a word."),
        ("--name [1,2]", "--name: is [1, 2]; expected a word."),
    ],
)
def test_what_is_none_of_it_is_refused_before_anything_runs(words: str, message: str) -> None:
    SEEN.clear()
    with pytest.raises(InputError) as caught:
        _called(words)
    assert str(caught.value) == message
    assert not SEEN


def test_all_of_them_at_once() -> None:
    with pytest.raises(InputError) as caught:
        _called("--flag maybe --count x --rate y")
    assert [problem.path for problem in caught.value.problems] == ["--flag", "--count", "--rate"]
