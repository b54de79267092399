"""The arguments of a function, as its signature, annotations and docstring declare them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from mist_bundle.api.arguments import arguments_of, checked, docstring_parts, takes
from mist_bundle.errors import InputError
from mist_bundle.planning.options import OPTIONS
from mist_bundle.runtime.values import PathText, Switch, Whole

if TYPE_CHECKING:
    from nowhere import Nothing  # type: ignore[import-not-found]


@takes({"folds": OPTIONS["folds"], "patch_size": OPTIONS["patch_size"]}, about={"folds": "of the whole."})
def first(
    source: Annotated[str, PathText()],
    *,
    count: Annotated[int, Whole(low=1)] = 3,
    fast: bool = False,
    callback: Callable[[str], None] | None = None,
    **options: Any,
) -> Nothing:
    """Do something.

    In a second paragraph.

    Args:
        source: where to begin,
            on two lines.
        count: how often.
        fast: whether to hurry.
        callback: for Python only.
        **options: see above.

    Returns:
        Nothing.
    """


@takes(first, besides=("count",), any_other=True)
def second(name: str, count: int = 1, **arguments: Any) -> None:
    """Do the same, by name.

    Args:
        name: of it.
        count: of its own.
    """


def test_a_signature_with_declared_options() -> None:
    arguments = {argument.name: argument for argument in arguments_of(first)}
    assert list(arguments) == ["source", "count", "fast", "folds", "patch_size"]
    assert arguments["source"].required
    assert arguments["source"].about == "where to begin, on two lines."
    assert arguments["count"].kind == Whole(low=1)
    assert arguments["count"].default == 3
    assert isinstance(arguments["fast"].kind, Switch)
    assert arguments["folds"].about == "of the whole."
    assert arguments["folds"].default is None
    assert arguments["patch_size"].about == OPTIONS["patch_size"].about


def test_a_function_takes_the_arguments_of_another() -> None:
    arguments = {argument.name: argument for argument in arguments_of(second)}
    assert list(arguments) == ["name", "count", "source", "fast", "folds", "patch_size", "arguments"]
    assert arguments["count"].about == "of its own."
    assert arguments["arguments"].passing is inspect.Parameter.VAR_KEYWORD
    assert arguments["arguments"].takes_more
    assert not arguments["arguments"].required


def test_the_parts_of_a_docstring() -> None:
    about, explained = docstring_parts(first)
    assert about == "Do something.\n\nIn a second paragraph."
    assert list(explained) == ["source", "count", "fast", "callback", "options"]


@checked
@takes({"epochs": OPTIONS["epochs"], "patch_size": OPTIONS["patch_size"]})
def third(
    source: Annotated[str, PathText()], count: Annotated[int, Whole(low=1)] | None = None, **options: Any
) -> dict[str, Any]:
    """Return what it is called with.

    Args:
        source: a file.
        count: how often.
        **options: see above.
    """
    return {"source": source, "count": count, **options}


def test_values_are_checked_and_cleaned() -> None:
    assert third(Path("x"), None, patch_size=16, epochs=None) == {
        "source": "x",
        "count": None,
        "patch_size": (16, 16, 16),
    }
    with pytest.raises(InputError) as caught:
        third("x", 0, epoch=3, epochs=0, patch_size="a")
    named = [problem.path for problem in caught.value.problems]
    assert named == ["--count", "--epoch", "--epochs", "--patch_size"]
    assert "Did you mean 'epochs'" in str(caught.value)
    with pytest.raises(TypeError, match="source"):
        third()  # type: ignore[call-arg]


def test_other_names_pass_if_the_function_takes_them() -> None:
    assert checked(second)("x", own_id=[1]) is None
    with pytest.raises(InputError, match="--patch_size"):
        checked(second)("x", own_id=[1], patch_size=0)
