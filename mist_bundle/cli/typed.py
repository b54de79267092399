"""What Fire made of the words, turned into what a verb says it takes, or refused: all wrong options at once.

Fire guesses: `--vae false` becomes the text "false", which counts as true; `--epochs 2.0` a float that fails hours
later; an option without a value becomes True, and True counts as 1. The annotations of a verb say what is meant.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from mist_bundle.errors import InputError, Problem

_WORDS = {"true": True, "false": False}
# annotation -> what is expected, in words; Any is read by the verb itself
_EXPECTED = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a word"}


def typed(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb behind a check of its arguments: bool, int, float and str (each also `| None`) by their annotations.

    The returned function raises InputError, naming every argument that is not what the verb takes, before it is called.
    """
    parameters = inspect.signature(verb).parameters

    @functools.wraps(verb)
    def checked(*positional: Any, **named: Any) -> None:
        bound = inspect.signature(verb).bind(*positional, **named)
        problems: list[Problem] = []
        for name, value in bound.arguments.items():
            parameter = parameters[name]
            kind = str(parameter.annotation).removesuffix(" | None")
            if parameter.kind is parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple(str(one) for one in value)
            elif kind in _EXPECTED and value is not parameter.default:
                try:
                    bound.arguments[name] = _read(kind, value)
                except ValueError:
                    problems.append(Problem(f"--{name}", _refusal(kind, value)))
        if problems:
            raise InputError(problems)
        verb(*bound.args, **bound.kwargs)

    return checked


def _read(kind: str, value: Any) -> Any:
    """The value as the kind it has to be; raises ValueError where it is not."""
    if kind == "bool":
        word = value.lower() if isinstance(value, str) else value
        if isinstance(word, str) and word in _WORDS:
            return _WORDS[word]
        if isinstance(value, bool):
            return value
    elif isinstance(value, bool):
        raise ValueError(kind)
    elif kind == "str" and isinstance(value, (str, int, float)):
        return str(value)
    elif kind == "float" and isinstance(value, (int, float)):
        return float(value)
    elif kind == "int" and isinstance(value, (int, float)) and int(value) == value:
        return int(value)
    raise ValueError(kind)


def _refusal(kind: str, value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return f"was given no value; expected {_EXPECTED[kind]}."
    return f"is {value!r}; expected {_EXPECTED[kind]}."
